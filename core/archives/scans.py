"""This module finds a page's image again, at any of the places where it was seen."""

from __future__ import annotations

from collections.abc import Sequence

from fumikura.core.archives.places import is_unchanged, read_member
from fumikura.core.errors import PageError
from fumikura.core.limits import DEFAULT_LIMITS, Limits


def read_scan(sources: Sequence[tuple[str, str]], digest: str, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read the image with this digest from the first place that still holds it.

    Args:
        sources: (archive, member), in the order in which they are tried.
        digest: SHA-256 of the image's bytes, in hexadecimal.

    Raises:
        PageError: none of them does.
    """
    for archive, member in sources:
        try:
            data = read_member(archive, member, digest=digest, limits=limits)
        except PageError:
            continue
        if is_unchanged(data, archive, member, digest):
            return data
    places = ", ".join(f"{archive}/{member}" for archive, member in sources)
    raise PageError(
        f"the image is no longer at {places}; put it back, or run fumikura on the place where it is now"
    )
