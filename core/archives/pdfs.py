"""This module counts the pages of a PDF file, and gives each as an image: the scan in it, or what it shows.

PDFium (pypdfium2) reads the files. It takes one call at a time, whatever the file: all calls share a lock.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fumikura.core.errors import PageError
from fumikura.core.limits import Limits

#: Of a page that is not one scan, in pixels an inch; part of what such a page is known by.
RENDER_DPI = 300

_POINTS_AN_INCH = 72
_PDFIUM = threading.Lock()
#: A scan counts as its page if it leaves no more of it bare, at each edge.
_MOST_BARE = 0.03
#: Scan and page are compared when both are this small, in grey; so far apart they show the same.
_SMALL_PIXELS, _MOST_APART = 48, 16.0


def n_pages(file: Path | bytes, limits: Limits) -> int:
    """Count the pages of a PDF file, none of which is looked at.

    Raises:
        PageError: it is encrypted or damaged, or holds more than an archive may.
    """
    with _opened(file) as document:
        if len(document) > limits.max_members:
            raise PageError(
                f"the PDF holds more than {limits.max_members:,} pages; split it, or"
                " raise FUMIKURA_MAX_MEMBERS"
            )
        return len(document)


def page_image(file: Path | bytes, number: int, limits: Limits) -> bytes:
    """Give a page as a JPEG, JPEG 2000 or BMP file: the scan that fills it with its own pixels, else drawn.

    Args:
        number: from 1.

    Raises:
        PageError: the file or the page is damaged, or it has more pixels than a page may have.
    """
    from pypdfium2 import PdfiumError

    with _opened(file) as document:
        if number > len(document):
            raise PageError(f"the PDF has only {len(document)} pages; add it again")
        try:
            page = document[number - 1]
            try:
                return _shown(page, limits)
            finally:
                page.close()
        except PdfiumError as error:
            raise PageError(f"the page cannot be read ({error}); copy the PDF again or convert it") from error


@contextmanager
def _opened(file: Path | bytes) -> Iterator[Any]:
    from pypdfium2 import PdfDocument, PdfiumError  # not above: most archives hold no PDF

    with _PDFIUM:
        try:
            document = PdfDocument(file)
        except PdfiumError as error:
            if "password" in str(error).lower():
                raise PageError("the PDF is encrypted; save it without its password") from error
            raise PageError(f"the PDF is damaged or none ({error}); copy it again from its source") from error
        try:
            yield document
        finally:
            document.close()


def _shown(page: Any, limits: Limits) -> bytes:
    width, height = page.get_size()  # in points, turned as the page is
    scan = _scan(page)
    scale = RENDER_DPI / _POINTS_AN_INCH
    if scan is not None:
        columns, rows = scan.get_px_size()
        _check_pixels(columns, rows, limits)
        if not page.get_rotation() and _is_upright(scan) and (data := _pixels_of(scan, page)) is not None:
            return data
        scale = max(columns, rows) / max(width, height)
    _check_pixels(round(width * scale), round(height * scale), limits)
    return _bmp(page.render(scale=scale))


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise PageError(
            f"the page of the PDF has {width} × {height} pixels, more than {limits.max_pixels:,} in all;"
            " make it smaller, or raise FUMIKURA_MAX_PIXELS"
        )


def _scan(page: Any) -> Any | None:
    """Find the one image that fills the page; None if anything else stands there, or several do.

    Text that nobody sees, as programs lay it over scans, makes no difference to what is shown.
    """
    from pypdfium2 import PdfImage
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_TEXT

    scans = []
    for thing in page.get_objects(max_depth=4):
        if thing.type == FPDF_PAGEOBJ_IMAGE and isinstance(thing, PdfImage):
            scans.append(thing)
        elif thing.type != FPDF_PAGEOBJ_TEXT or not _is_unseen(thing):
            return None
        if len(scans) > 1:
            return None
    if not scans:
        return None
    left, bottom, right, top = page.get_bbox()
    bounds = scans[0].get_bounds()
    room = _MOST_BARE * max(right - left, top - bottom)
    is_whole = all(
        abs(one - other) <= room for one, other in zip(bounds, (left, bottom, right, top), strict=True)
    )
    return scans[0] if is_whole else None


def _is_unseen(text: Any) -> bool:
    from pypdfium2.raw import FPDF_TEXTRENDERMODE_INVISIBLE, FPDFTextObj_GetTextRenderMode

    return bool(FPDFTextObj_GetTextRenderMode(text) == FPDF_TEXTRENDERMODE_INVISIBLE)


def _is_upright(scan: Any) -> bool:
    a, b, c, d, *_ = scan.get_matrix().get()
    return bool(a > 0 and d > 0 and abs(b) < 1e-3 * a and abs(c) < 1e-3 * d)


def _pixels_of(scan: Any, page: Any) -> bytes | None:
    """Give the scan's own pixels; None if the page shows them inverted, masked or the like."""
    from PIL import Image

    if scan.get_filters() in (["DCTDecode"], ["JPXDecode"]):
        data = bytes(scan.get_data(decode_simple=False))
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "JPEG2000")) as image:
                is_plain = image.mode in ("L", "RGB") and not image.getexif().get(0x0112, 1) > 1
                image.draft(None, (2 * _SMALL_PIXELS, 2 * _SMALL_PIXELS))
                own = image.convert("L")
        except (OSError, ValueError, SyntaxError):
            return None  # PDFium may draw what Pillow does not read
        if not is_plain:
            return None
    else:
        bitmap = scan.get_bitmap(render=False)
        own = bitmap.to_pil().convert("L")
        data = _bmp(bitmap)
    shown = page.render(scale=4 * _SMALL_PIXELS / max(page.get_size()), grayscale=True)
    try:
        return data if _apart(own, shown.to_pil().convert("L")) <= _MOST_APART else None
    finally:
        shown.close()


def _apart(one: Any, other: Any) -> float:
    """Give the mean difference of two images in grey, in [0, 255], when both are small."""
    from PIL import Image, ImageChops, ImageStat

    size = (_SMALL_PIXELS, _SMALL_PIXELS)
    small = [image.resize(size, Image.Resampling.BOX) for image in (one, other)]
    return float(ImageStat.Stat(ImageChops.difference(*small)).mean[0])


def _bmp(bitmap: Any) -> bytes:
    """Give a bitmap as a file that costs no time to pack."""
    out = io.BytesIO()
    image = bitmap.to_pil()
    image.convert("L" if image.mode in ("1", "L") else "RGB").save(out, "BMP")
    return out.getvalue()
