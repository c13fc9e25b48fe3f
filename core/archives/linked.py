"""This module reads archives that only name their images: manifests of IIIF, and METS files of web addresses.

No image is fetched before it is read. Such a page is known by its address, the size that its manifest
states, and the size in which it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fumikura.core.archives.documents import fetch
from fumikura.core.archives.iiif_images import LONG_SIDE, image_address
from fumikura.core.archives.member import Member
from fumikura.core.archives.names import one_form
from fumikura.core.archives.urls import Place, WebAddress, parse_address
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits

#: Endings and words by which the address of a manifest is told from that of a folder.
LINKING_SUFFIXES = frozenset({".json", ".xml", ".mets"})
_WORDS = ("manifest", "iiif")
#: File names that say what lies there, and not which book it is.
_KINDS = frozenset({"manifest", "collection", "mets", "index", "info", "iiif", "presentation", "metadata"})


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """This is a page of which only the address is known.

    Attributes:
        number: its place in the archive, from 1.
        address: of the image, as it stands there.
        service: of the Image API that serves it in any size, likewise; None where there is none.
        is_version_3: of the Image API; else it is an older one.
        width: of the canvas, in its own units; 0 if nobody says.
        height: likewise.
        label: what people call the page, such as `12 recto`; empty if nobody says.
        canvas: its URI; empty where there is none.
        left_out: why it is no page, as the beginning of a sentence.
    """

    number: int
    address: str
    service: str | None = None
    is_version_3: bool = False
    width: int = 0
    height: int = 0
    label: str = ""
    canvas: str = ""
    left_out: str | None = None

    @property
    def digest(self) -> str:
        """Give what the page is known by."""
        size = f"{self.width}x{self.height}"
        known = f"linked {LONG_SIDE}\0{self.service or self.address}\0{size}"
        return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def canvas_area(self) -> str | None:
        """Give the URI of the whole canvas, with its size, on which the pixels of the page lie."""
        if not self.canvas or not (self.width and self.height):
            return self.canvas or None
        return f"{self.canvas}#xywh=0,0,{self.width},{self.height}"


class LinkedPages:
    """These are the pages that a manifest names."""

    def __init__(self, place: Place, pages: Sequence[LinkedPage], limits: Limits) -> None:
        self._place = place
        self._pages = pages
        self._limits = limits

    def members(self) -> Iterator[Member]:
        for page in self._pages:
            name = page_name(self._place, page.number)
            if page.left_out is not None:
                yield Member(name, 0, None, left_out=page.left_out)
                continue
            yield Member(name, 0, None, digest=page.digest, label=page.label or None, canvas=page.canvas_area)

    def read(self, name: str, digest: str | None = None) -> bytes:
        page = self.page(name, digest)
        try:
            return fetch(self._address(page), self._limits)
        except FileNotFoundError as error:
            raise PageError(
                f"there is nothing at {error.filename}, which {self._place} names; retry when it is back"
            ) from error

    def page(self, name: str, digest: str | None) -> LinkedPage:
        """Find a page: by what it is known by, as it may have another number by now."""
        named = [page for page in self._pages if page_name(self._place, page.number) == name]
        found = [page for page in (*named, *self._pages) if digest in (None, page.digest)]
        if found:
            return found[0]
        if not named:
            raise KeyError(name)
        raise PageError(f"{name} in {self._place} is no longer the image that was added; add it again")

    def _address(self, page: LinkedPage) -> WebAddress:
        try:
            if page.service is None:
                return parse_address(page.address)
            return image_address(page.service, page.address, self._limits)
        except ArchiveError as error:
            raise PageError(f"{error}; {self._place} names it") from error


def may_link(place: Place) -> bool:
    """Tell from its name alone whether a place may be a manifest or a METS file."""
    if place.suffix.lower() in LINKING_SUFFIXES:
        return True
    is_web = not isinstance(place, PurePosixPath) and getattr(place, "is_http", False)
    return is_web and any(word in part.lower() for part in place.parts[1:] for word in _WORDS)


def page_name(place: Place, number: int) -> str:
    """Name a page after its manifest, such as `200010454_0001`."""
    return f"{manifest_name(place)}_{number:04}"


def manifest_name(place: Place) -> str:
    """Name a manifest by its file, or, if that is only called `manifest.json`, by what it lies in."""
    parts = [*place.parts[1:-1], place.name.removesuffix(place.suffix) or place.name]
    names = (one_form(part) for part in reversed(parts) if part.lower() not in _KINDS)
    return next(names, place.parts[0].strip("/") or "manifest")[:60]


def is_linked(place: Place, member: str) -> bool:
    """Tell from names alone whether a page is one that a manifest names."""
    number = member.rpartition("_")[2]
    return (
        may_link(place)
        and number.isascii()
        and number.isdecimal()
        and member == page_name(place, int(number))
    )
