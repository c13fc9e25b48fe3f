"""This module tells from the place of a page which book it belongs to."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from fumikura.core.archives.containers import is_packed
from fumikura.core.archives.frames import frame_at
from fumikura.core.archives.linked import is_linked, manifest_name
from fumikura.core.archives.urls import Place

_CODH_NAME = re.compile(r"([^_]+)_\d{5}_\d+")
# Folders that say what lies in them, and not which book it is.
_KINDS_OF_FILE = frozenset(
    {"image", "images", "img", "jpeg", "jpg", "page", "pages", "png", "scan", "scans", "tif", "tiff"}
)


def book_of(archive: Place, name: str) -> str:
    """Name the work: as CODH names its pages, else the innermost folder that is not just called `images`."""
    member = _path(name)
    if match := _CODH_NAME.fullmatch(member.stem):
        return match[1]
    if is_linked(archive, name):
        return manifest_name(archive)
    if is_packed(archive):
        folders: tuple[str, ...] = (archive.name.split(".")[0], *member.parent.parts)
    else:
        folders = (*archive.parts, *member.parent.parts)
    return next((name for name in reversed(folders) if name.lower() not in _KINDS_OF_FILE), folders[0])


def _path(name: str) -> PurePosixPath:
    """Give a page's path; a PDF or TIFF that holds it is a folder of the book's name."""
    frame, path = frame_at(name), PurePosixPath(name)
    return path if frame is None else PurePosixPath(frame.file).with_suffix("") / path.name
