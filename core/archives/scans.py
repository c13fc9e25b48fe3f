"""This module finds a page's image again, at any of the places where it was seen."""

from __future__ import annotations

from collections.abc import Sequence

from fumikura.core.archives.linked import LinkedPage
from fumikura.core.archives.places import is_unchanged, linked_page, read_member
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


def linked_image(
    sources: Sequence[tuple[str, str]], digest: str, *, limits: Limits = DEFAULT_LIMITS
) -> LinkedPage:
    """Find what a manifest says of a page: the address of its image, which is not fetched.

    Raises:
        PageError: no manifest at these places names it any more.
    """
    for archive, member in sources:
        if (found := linked_page(archive, member, digest, limits)) is not None:
            return found
    places = ", ".join(archive for archive, _ in sources)
    raise PageError(f"no manifest names the page any more, of {places}; run fumikura on where it is now")
