"""Pictures that we write name fumikura as the software that made them, and so may be replaced by us."""

from __future__ import annotations

import codecs
import struct
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from fumikura.core.errors import UsageError
from fumikura.core.own_files import replacing

#: What a picture calls the program that made it, in the place that its format has for that.
SOFTWARE = "fumikura"

#: Formats of pictures by their file's ending.
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pdf": "PDF",
}

_EXIF_SOFTWARE = 0x0131
_PDF_CREATOR = b"/Creator (" + codecs.BOM_UTF16_BE + SOFTWARE.encode("utf-16-be") + b")"
#: What Pillow may raise at a stranger's file.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def format_of(path: Path) -> str:
    """Return the format that a file's ending asks for, as Pillow calls it.

    Raises:
        UsageError: there is none of this ending.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise UsageError(f"{path} has no ending of a picture; write one of these: {known}") from None


def save_picture(picture: Image.Image, path: Path, *, title: str = "", quality: int = 90) -> None:
    """Save a picture with our mark in the format of the file's ending, in the place of our older one only.

    Args:
        title: of a PDF.
        quality: of a JPEG, WebP or PDF, in percent.

    Raises:
        UsageError: the ending is unknown, or something stands there that we did not write.
    """
    kind = format_of(path)
    with replacing(path, is_our_picture) as unfinished:
        picture.save(unfinished, kind, **_mark(kind, title=title), **_density(kind, quality))


def add_pdf_page(picture: Image.Image, path: Path) -> None:
    """Add a page to a PDF that `save_picture` began."""
    picture.save(path, "PDF", append=True, **_mark("PDF"), **_density("PDF", 90))


def is_our_picture(path: Path) -> bool:
    """Tell whether a file of one of the `FORMATS` names fumikura as the software that made it."""
    try:
        with path.open("rb") as file:
            if file.read(5) == b"%PDF-":
                return _PDF_CREATOR in file.read()
        with Image.open(path) as picture:
            named = picture.info.get("Software") or picture.getexif().get(_EXIF_SOFTWARE)
    except _BROKEN:
        return False
    return named == SOFTWARE


def png_mark() -> dict[str, str]:
    """Return our mark as metadata for whoever writes a PNG in another way."""
    return {"Software": SOFTWARE}


def _mark(kind: str, *, title: str = "") -> dict[str, Any]:
    if kind == "PDF":
        return {"creator": SOFTWARE, "title": title}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Software", SOFTWARE)
        return {"pnginfo": text}
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = SOFTWARE
    return {"exif": exif}


def _density(kind: str, quality: int) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "TIFF": {"compression": "tiff_lzw"},
        # A scan's grain cannot be compressed further, however long one tries.
        "PNG": {"compress_level": 1},
        # A page is then about as large as a leaf of paper.
        "PDF": {"quality": quality, "resolution": 200.0},
    }
    return options.get(kind, {"quality": quality})
