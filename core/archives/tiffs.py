"""This module finds the page in a TIFF file, and says if its pixels cannot be read as its tags say.

TIFF Revision 6.0 (Adobe 1992) and its Technical Notes; BigTIFF. Pillow decodes the pixels, but takes the
first image for the page, whatever it is, and misreads some layouts without a word.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap

from fumikura.core.errors import PageError

_MOST_DIRECTORIES = 10_000
#: Bytes and struct's letter of the types of number that the tags below have.
_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "L"), 13: (4, "L"), 16: (8, "Q"), 18: (8, "Q")}

_SUBFILE, _OLD_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_FILL_ORDER, _SAMPLES, _PLANAR, _SUB_DIRECTORIES, _EXTRA, _FORMAT = 266, 277, 284, 330, 338, 339
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_READ_TAGS = frozenset(
    {_SUBFILE, _OLD_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PLANAR}
    | {_SUB_DIRECTORIES, _EXTRA, _FORMAT, _STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES}
)

_PHOTOMETRICS = {
    0: "grey, white is zero",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "camera raw",
    32844: "LogL",
    34892: "linear raw",
}
_RGB, _CMYK = 2, 5
_FORMATS = {2: "signed", 3: "floating-point", 5: "complex signed", 6: "complex"}


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory describes one of a file's images.

    Attributes:
        offset: where it stands in the file.
        tags: the numbers of each tag in `_READ_TAGS` that it has.
    """

    offset: int
    tags: Mapping[int, tuple[int, ...]]

    def first(self, tag: int, default: int) -> int:
        return next(iter(self.tags.get(tag, ())), default)

    @property
    def is_page(self) -> bool:
        """Tell whether it is neither a reduced copy (thumbnail, pyramid) nor a mask of another image."""
        return not self.first(_SUBFILE, 0) & 0b101 and self.first(_OLD_SUBFILE, 1) != 2

    def __str__(self) -> str:
        """Describe how its pixels are kept."""
        bits, form = self.tags.get(_BITS, (1,)), self.first(_FORMAT, 1)
        parts = [
            _PHOTOMETRICS.get(kind := self.first(_PHOTOMETRIC, -1), f"photometric {kind}"),
            f"{self.first(_SAMPLES, 1)} × {'/'.join(map(str, sorted(set(bits))))} bits",
            *([_FORMATS.get(form, f"sample format {form}")] if form != 1 else []),
            *(["in separate planes"] if self.first(_PLANAR, 1) == 2 else []),
            f"compression {self.first(_COMPRESSION, 1)}",
        ]
        return ", ".join(parts)


def is_tiff(data: bytes) -> bool:
    return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def with_page_first(data: bytes) -> bytes:
    """Give a TIFF file whose first image is its page: itself, as a rule.

    Raises:
        PageError: it holds no page or several, some of it is missing, or its pixels are not read.
    """
    found = list(_directories(data))
    if not found:
        return data  # damaged; Pillow says how
    pages = _pages(found)
    if not pages:
        raise PageError("the TIFF file holds no page but reduced copies of one; save the page itself as TIFF")
    if len(pages) > 1:
        raise PageError(
            f"the TIFF file holds {len(pages)} pages; call it .tif, or split it into one file a page"
        )
    _check(pages[0], data)
    if pages[0] is found[0]:
        return data
    order, is_big = byte_order(data)
    letter, start = ("Q", 8) if is_big else ("L", 4)
    offset = struct.pack(order + letter, pages[0].offset)
    return data[:start] + offset + data[start + len(offset) :]


def pages_of(data: bytes | mmap) -> list[Directory]:
    """Find the images of a file that are pages, in their order."""
    return _pages(list(_directories(data)))


def _pages(found: list[Directory]) -> list[Directory]:
    pages = [directory for directory in found if directory.is_page]
    if not pages and len(found) == 1 and _SUB_DIRECTORIES not in found[0].tags:
        return found
    return pages


def unread_kind(data: bytes) -> str:
    """Say that the pixels of a TIFF file's first image are of a kind that is not read."""
    found = next(_directories(data), None)
    if found is None:
        return "a TIFF whose directory of images is damaged or missing; copy it again from its source"
    return _unread(found)


def _check(page: Directory, data: bytes) -> None:
    samples, photometric = page.first(_SAMPLES, 1), page.first(_PHOTOMETRIC, -1)
    is_planar = page.first(_PLANAR, 1) == 2 and samples > 1
    # Of what lies in planes, Pillow reads these; others it reads wrongly, or as blank.
    is_sound = set(page.tags.get(_BITS, (1,))) == {8} and page.first(_FILL_ORDER, 1) == 1
    is_known = (photometric, samples) in {(_RGB, 3), (_CMYK, 4)} or (
        (photometric, samples) == (_RGB, 4) and _EXTRA in page.tags
    )
    is_unsigned = set(page.tags.get(_FORMAT, (1,))) <= {1, 4}
    if photometric < 0 or not is_unsigned or (is_planar and not (is_sound and is_known)):
        raise PageError(_unread(page))
    offsets = page.tags.get(_STRIPS) or page.tags.get(_TILES) or ()
    # At 0 stands the file's own head: such a piece was never written.
    n_missing = sum(not 0 < offset < len(data) for offset in offsets)
    if n_missing:
        raise PageError(
            f"the image is cut off: {n_missing} of its {len(offsets)} strips or tiles are missing;"
            " copy it again from its source"
        )


def _unread(page: Directory) -> str:
    return f"a TIFF of a kind that is not read ({page}); convert it to 8 bits, grey or RGB"


def byte_order(data: bytes | mmap) -> tuple[str, bool]:
    """Give struct's sign of the byte order, and whether it is a BigTIFF."""
    return ("<" if data[:2] == b"II" else ">"), 43 in data[2:4]


def _directories(data: bytes | mmap) -> Iterator[Directory]:
    """Yield the directories of a file, as far as they can be found, each once."""
    order, is_big = byte_order(data)
    count, entry, link, start = ("Q", 20, "Q", 8) if is_big else ("H", 12, "L", 4)
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + link, data, start)
        while offset and offset not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(offset)
            (n_entries,) = struct.unpack_from(order + count, data, offset)
            first = offset + struct.calcsize(order + count)
            end = first + n_entries * entry
            (following,) = struct.unpack_from(order + link, data, end)
            places = range(first, end, entry)
            yield Directory(offset, dict(filter(None, (_tag(data, at, order, is_big) for at in places))))
            offset = following
    except struct.error:
        return  # what stands beyond the end is damaged


def _tag(data: bytes | mmap, at: int, order: str, is_big: bool) -> tuple[int, tuple[int, ...]] | None:
    number, kind, n_values = struct.unpack_from(order + ("HHQ" if is_big else "HHL"), data, at)
    if number not in _READ_TAGS or kind not in _TYPES:
        return None
    size, letter = _TYPES[kind]
    place, room, link = (at + 12, 8, "Q") if is_big else (at + 8, 4, "L")
    if n_values * size > room:
        (place,) = struct.unpack_from(order + link, data, place)
    if place + n_values * size > len(data):
        return None
    return number, struct.unpack_from(f"{order}{n_values}{letter}", data, place)
