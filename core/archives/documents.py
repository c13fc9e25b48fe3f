"""This module fetches what others named by its address: manifests, and the images that these name."""

from __future__ import annotations

from pathlib import Path

from fumikura.core.archives.pace import wait_for_turn
from fumikura.core.archives.remote import fetch_whole
from fumikura.core.archives.retrying import retry_until_answered
from fumikura.core.archives.urls import Place, WebAddress
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

#: Of a manifest or METS file: one of ten thousand pages has some ten million bytes.
_MOST_BYTES = 64 << 20


def fetch(address: WebAddress, limits: Limits) -> bytes:
    """Fetch what is at a web address, in turn with all others who ask its host.

    Raises:
        FileNotFoundError: there is nothing.
        ArchiveError: it cannot be had.
        StorageError: its server does not answer.
    """

    def ask() -> bytes:
        wait_for_turn(address.host, limits.requests_per_second)
        return fetch_whole(address, str(address.text), limits)

    return retry_until_answered(ask, address, limits)


def document(place: Place, limits: Limits) -> bytes:
    """Read a manifest or METS file, wherever it lies; raises what `fetch` does, and OSError."""
    if isinstance(place, Path):
        with place.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    elif place.is_http:
        data = fetch(WebAddress(str(place)), limits)
    else:
        data = retry_until_answered(lambda: fetch_whole(place, str(place), limits), place, limits)
    if len(data) > _MOST_BYTES:
        raise ArchiveError(f"{place} has more than {_MOST_BYTES:,} bytes; split it")
    return data
