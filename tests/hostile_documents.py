"""PDF and JPEG 2000 files made to do harm; tests/test_hostile.py says what is right."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import pikepdf
from PIL import Image

#: The marker of a JPEG 2000 codestream that says how large image and tiles are.
_SIZ = b"\xff\x51"


def documents() -> Iterator[tuple[str, bytes]]:
    """Files with names of pages or books."""
    yield "encrypted.pdf", pdf(1, encryption=pikepdf.Encryption(owner="a", user="b"))
    yield "poster.pdf", pdf(1, side=200_000)
    yield "pages_in_a_loop.pdf", pdf_whose_pages_loop()
    yield "cut.pdf", pdf(3)[:200]
    yield "absurd_tiles.jp2", jpeg_2000(tile=1)
    yield "no_tiles.jp2", jpeg_2000(tile=0)
    yield "endless.jp2", jpeg_2000(size=2**32 - 1)
    yield "many_tiles.j2k", jpeg_2000(size=8_000, tile=1)


def pdf(n_pages: int, *, side: int = 300, encryption: pikepdf.Encryption | bool = False) -> bytes:
    """Blank pages of so many points a side."""
    with pikepdf.new() as document:
        for _ in range(n_pages):
            document.add_blank_page().MediaBox = [0, 0, side, side]
        out = io.BytesIO()
        document.save(out, encryption=encryption)
    return out.getvalue()


def pdf_whose_pages_loop() -> bytes:
    """A tree of pages that holds itself."""
    with pikepdf.new() as document:
        document.add_blank_page()
        document.Root.Pages.Kids.append(document.Root.Pages)
        document.Root.Pages.Count = 10**9
        out = io.BytesIO()
        document.save(out)
    return out.getvalue()


def jpeg_2000(*, size: int | None = None, tile: int | None = None) -> bytes:
    """Paper of 64 × 64 pixels, whose header claims another size of the image or of its tiles."""
    out = io.BytesIO()
    Image.new("L", (64, 64), "white").save(out, "JPEG2000", no_jp2=True)
    data = bytearray(out.getvalue())
    place = data.index(_SIZ) + 6
    if size is not None:
        data[place : place + 8] = struct.pack(">II", size, size)
    if tile is not None:
        data[place + 16 : place + 24] = struct.pack(">II", tile, tile)
    return bytes(data)
