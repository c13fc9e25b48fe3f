"""This module cuts one page out of a TIFF file that holds several.

TIFF Revision 6.0 (Adobe 1992) and BigTIFF. The page becomes a file of its own, of the same bytes a pixel:
only its directory, its values and its strips or tiles are copied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap

from fumikura.core.archives.tiffs import Directory, byte_order, pages_of
from fumikura.core.errors import PageError
from fumikura.core.limits import Limits

#: Bytes of a value, by its type.
_SIZES = dict(zip((*range(1, 14), 16, 17, 18), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8), strict=True))
_LETTERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_LONG, _LONG_8 = 4, 16
#: Tags that say where strips, tiles and the like lie, and those that say how long each is.
_PLACES = {273: 279, 324: 325, 513: 514}
#: Tags that lead to other directories of the file.
_LINKS = frozenset({330, 34665, 34853, 40965})


def n_tiff_pages(data: bytes | mmap) -> int:
    """Count the pages of a TIFF file; reduced copies and masks are none."""
    return len(pages_of(data))


def tiff_page(data: bytes | mmap, number: int, limits: Limits) -> bytes:
    """Give one page of a TIFF file as a file of its own.

    Args:
        number: from 1.

    Raises:
        PageError: there is no such page, it is damaged, or it is larger than a page may be.
    """
    pages = pages_of(data)
    if number > len(pages):
        raise PageError(f"the TIFF has only {len(pages)} pages; add it again")
    try:
        return _cut_out(data, pages[number - 1], limits)
    except struct.error as error:
        raise PageError("the TIFF is cut off inside this page; copy it again from its source") from error


@dataclass(frozen=True, slots=True)
class _Layout:
    """This says how numbers stand in a file, in struct's letters: byte order, count of entries, offset."""

    order: str
    count: str
    offset: str
    room: int
    head: int

    def pack(self, letters: str, *numbers: int) -> bytes:
        return struct.pack(self.order + letters, *numbers)


_Value = tuple[int, int, bytes]


def _layout(data: bytes | mmap) -> _Layout:
    order, is_big = byte_order(data)
    return _Layout(order, "Q", "Q", 8, 16) if is_big else _Layout(order, "H", "L", 4, 8)


def _cut_out(data: bytes | mmap, page: Directory, limits: Limits) -> bytes:
    layout = _layout(data)
    values = _values(data, page.offset, layout)
    out = bytearray(data[: layout.head])
    for places, lengths in _PLACES.items():
        if places in values:
            starts = _numbers(values[places], layout)
            sizes = _numbers(values[lengths], layout) if lengths in values else ()
            copied = _copy_pieces(data, out, starts, sizes, limits)
            kind = _LONG_8 if layout.room == 8 else _LONG
            values[places] = kind, len(copied), layout.pack(f"{len(copied)}{layout.offset}", *copied)
    entries = b""
    for tag, (kind, n_values, value) in sorted(values.items()):
        inside = value.ljust(layout.room, b"\0")
        if len(value) > layout.room:
            inside = layout.pack(layout.offset, _append(out, value))
        entries += layout.pack("HH" + layout.offset, tag, kind, n_values) + inside
    start = _append(out, layout.pack(layout.count, len(values)) + entries + bytes(layout.room))
    out[layout.head - layout.room : layout.head] = layout.pack(layout.offset, start)
    return bytes(out)


def _values(data: bytes | mmap, offset: int, layout: _Layout) -> dict[int, _Value]:
    """Give type, number and bytes of each tag of a directory that leads to no other."""
    found: dict[int, _Value] = {}
    (n_entries,) = struct.unpack_from(layout.order + layout.count, data, offset)
    entry = struct.Struct(f"{layout.order}HH{layout.offset}")
    first, step = offset + struct.calcsize(layout.order + layout.count), entry.size + layout.room
    for at in range(first, first + n_entries * step, step):
        tag, kind, n_values = entry.unpack_from(data, at)
        n_bytes, place = _SIZES.get(kind, 0) * n_values, at + entry.size
        if n_bytes > layout.room:
            (place,) = struct.unpack_from(layout.order + layout.offset, data, place)
        if place + n_bytes > len(data):
            raise struct.error
        if n_bytes and tag not in _LINKS:
            found[tag] = kind, n_values, bytes(data[place : place + n_bytes])
    return found


def _numbers(value: _Value, layout: _Layout) -> tuple[int, ...]:
    kind, n_values, data = value
    letter = _LETTERS.get(kind)
    return () if letter is None else struct.unpack(f"{layout.order}{n_values}{letter}", data)


def _copy_pieces(
    data: bytes | mmap, out: bytearray, starts: tuple[int, ...], sizes: tuple[int, ...], limits: Limits
) -> list[int]:
    """Copy strips or tiles, and give where each lies now: at 0 if the file does not hold the whole of it."""
    if len(starts) != len(sizes):
        raise PageError("the TIFF does not say how long its strips or tiles are; convert it")
    # They may overlap, so that each looks harmless.
    if problem := limits.problem(sum(sizes)):
        raise PageError(f"a page of the TIFF {problem}")
    return [
        _append(out, data[start : start + size]) if start > 0 and start + size <= len(data) else 0
        for start, size in zip(starts, sizes, strict=True)
    ]


def _append(out: bytearray, value: bytes) -> int:
    out += bytes(-len(out) % 8)
    place = len(out)
    out += value
    return place
