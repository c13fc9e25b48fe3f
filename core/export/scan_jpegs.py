"""This module gives scans as JPEG, for documents that carry them."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.scans import read_scan
from fumikura.core.export.file_names import file_name
from fumikura.core.export.formats import Style
from fumikura.core.read_page import ReadPage

_QUALITY = 85
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class ScanJpeg:
    """This is a page's upright scan as a JPEG."""

    data: bytes
    width: int
    height: int
    is_grey: bool


def jpeg_name(page: ReadPage) -> str:
    """Name the JPEG of a page's scan, unlike that of any other page."""
    return f"{file_name(page.name)}-{page.digest[:8]}.jpg"


def scan_jpeg(page: ReadPage, style: Style, *, long_side: int | None = None) -> ScanJpeg:
    """Read the scan of a page. A JPEG that is upright, and not too large, stays as it is to the byte.

    Args:
        long_side: at most, in pixels; None leaves the scan as large as it is.

    Raises:
        PageError: the scan is gone or cannot be read.
    """
    data = read_scan(page.sources, page.digest, limits=style.limits)
    if (kept := _as_it_is(data, page)) and not (long_side and max(page.width, page.height) > long_side):
        return kept
    smaller = min(long_side or max(page.width, page.height), max(page.width, page.height))
    image = Image.fromarray(decode(data, long_side=smaller, max_pixels=style.max_pixels).pixels)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=_QUALITY)
    return ScanJpeg(jpeg.getvalue(), image.width, image.height, is_grey=False)


def thumbnail(scan: ScanJpeg, size: tuple[int, int]) -> bytes:
    """Make a small JPEG of a scan, of a size in pixels."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(scan.data), formats=["JPEG"]) as image:
        image.draft("RGB", size)
        image.convert("RGB").resize(size, Image.Resampling.BOX).save(small, "JPEG", quality=_QUALITY)
    return small.getvalue()


def _as_it_is(data: bytes, page: ReadPage) -> ScanJpeg | None:
    if not data.startswith(b"\xff\xd8"):
        return None
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        is_upright = image.getexif().get(_ORIENTATION_TAG, 1) == 1
        if not is_upright or image.mode not in ("L", "RGB") or image.size != (page.width, page.height):
            return None
        return ScanJpeg(data, image.width, image.height, is_grey=image.mode == "L")
