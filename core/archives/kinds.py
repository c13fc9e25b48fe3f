"""This module tells by its name and its first bytes what a file is: a page, or what is left out and why."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

PAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp"}
    | {".png", ".apng", ".tif", ".tiff", ".webp", ".bmp", ".gif"}
    | {".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"}
    | {".heic", ".heif", ".hif", ".avif"}
)
#: What is read, in words.
PAGE_FORMATS = "JPEG, PNG, TIFF, JPEG 2000, WebP, HEIC, AVIF, BMP or GIF images, or PDF"

#: What NAS boxes, Windows and macOS lay beside files: thumbnails, bins, old states.
_SYSTEM_NAMES = frozenset(
    {"@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx"}
    | {"$recycle.bin", "recycler", "recycled", "system volume information", "lost+found"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini"}
)

_CONVERT = "convert to PNG or TIFF"
#: An archive of files.
PACKED = "zip or tar"
_NAME = "name each, such as 'a/*.zip'"
#: By ending: what it is, and what to do so that its pages are read.
_OTHERS = {
    ".pdf": ("PDF", "give it the ending .pdf"),
    ".jpm": ("layered JPEG 2000", _CONVERT),
    **dict.fromkeys([".jxl", ".jxr", ".psd", ".svg", ".exr", ".ppm", ".pgm"], ("other image", _CONVERT)),
    **dict.fromkeys([".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf"], ("camera raw", _CONVERT)),
    **dict.fromkeys([".djvu", ".djv", ".epub", ".mobi"], ("DjVu or e-book", _CONVERT)),
    **dict.fromkeys([".zip", ".cbz", ".tar", ".tgz", ".tbz2", ".txz"], (PACKED, _NAME)),
    **dict.fromkeys([".gz", ".bz2", ".xz"], (PACKED, _NAME)),
    **dict.fromkeys([".7z", ".rar", ".cbr", ".lzh", ".lha"], ("packed archive", "unpack it")),
}
_SIGNATURES = (
    (b"%PDF-", ".pdf"),
    (b"AT&TFORM", ".djvu"),
    (b"8BPS", ".psd"),
    (b"PK\x03\x04", ".zip"),
    (b"Rar!", ".rar"),
    (b"7z\xbc\xaf\x27\x1c", ".7z"),
    (b"\x1f\x8b\x08", ".gz"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_PAGE_STARTS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51"),
)


def ending(name: str) -> str:
    """Give a file name's ending in lower case, with its dot; none if it is a number, as in `scan.001`."""
    suffix = unicodedata.normalize("NFKC", PurePosixPath(name).suffix).lower()
    return "" if suffix[1:].isdecimal() else suffix


def is_page_name(name: str) -> bool:
    """Tell whether a file is called as a page is."""
    return ending(name) in PAGE_SUFFIXES


def is_book_name(name: str) -> bool:
    """Tell whether a file is called as a PDF is: its pages are those of a book."""
    return ending(name) == ".pdf"


def is_system_file(name: str) -> bool:
    """Tell whether a path leads to what a program has laid there, and not a person."""
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part != "..") or part.lower() in _SYSTEM_NAMES for part in parts)


def is_page_start(data: bytes) -> bool:
    """Tell whether a file that begins so is an image of a kind that is read."""
    is_webp = data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    is_bmp = data.startswith(b"BM") and data[6:10] == bytes(4)
    return data.startswith(_PAGE_STARTS) or is_webp or is_bmp or is_heic(data) or data[4:12] == b"ftypavif"


def is_heic(data: bytes) -> bool:
    """Tell whether a file that begins so is a HEIC image, as telephones make them."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def other_kind(name: str, start: bytes = b"") -> tuple[str, str] | None:
    """Say what a file is that holds pages but is not read, and what to do; None if it is none such."""
    return _OTHERS.get(ending(name)) or _kind_by_start(start)


def _kind_by_start(start: bytes) -> tuple[str, str] | None:
    return next((_OTHERS[suffix] for magic, suffix in _SIGNATURES if start.startswith(magic)), None)
