"""This module tells from a file's ending and first words which form of truth it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fumikura.core.errors import TruthError
from fumikura.core.page import Truth
from fumikura.core.scoring.truth_forms import (
    alto,
    coco,
    codh,
    kaggle,
    mask_images,
    page_xml,
    tables,
    texts,
    voc,
    xml_files,
)

Read = Callable[[Path], dict[str, Truth]]

#: For people.
FORMS = "CODH or Kaggle CSV, ALTO, PAGE or VOC XML, COCO JSON, PAGE.txt, or mask images"
_XML: dict[str, Read] = {alto.ROOT: alto.read, page_xml.ROOT: page_xml.read, voc.ROOT: voc.read}


def find_reader(path: Path) -> Read | None:
    """Choose the function that reads a file; None for one that is no truth.

    Raises:
        TruthError: it seems to be truth and cannot be read: in a folder, it must not be passed over.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _reader_of_table(path)
    if suffix == ".xml":
        return _XML.get(xml_files.root_kind(path))
    if suffix == ".json":
        return coco.read if coco.load(path) is not None else None
    if suffix == ".txt":
        return texts.read
    return mask_images.read if suffix in mask_images.SUFFIXES else None


def _reader_of_table(path: Path) -> Read | None:
    """Choose by the columns.

    Raises:
        TruthError: it has most of CODH's columns and not all.
    """
    columns = tables.header(path)
    if columns >= codh.COLUMNS:
        return codh.read
    missing = sorted(codh.COLUMNS - columns)
    if len(missing) <= len(codh.COLUMNS) // 2:
        raise TruthError(f"{path}, line 1: there is no column {', '.join(missing)}; add what is missing")
    return kaggle.read if columns >= kaggle.COLUMNS else None


def read_file(path: Path) -> dict[str, Truth]:
    """Read a file that somebody names as truth.

    Raises:
        TruthError: it is none, or damaged.
    """
    read = find_reader(path)
    if read is None:
        raise TruthError(_refusal(path))
    return read(path)


def _refusal(path: Path) -> str:
    if path.suffix.lower() == ".csv":
        return (
            f"{path}, line 1: neither CODH's columns (Unicode, Image, X, Y, Width, Height)"
            " nor Kaggle's (image_id, labels); name a file of one of these forms"
        )
    return f"{path} is no truth that fumikura can read; name {FORMS}"


def files_in(folder: Path) -> list[Path]:
    """Find the truth in a folder.

    Where there are tables, XML or JSON, only these count: images beside them are the pages, and texts may be
    anything. Else texts count that are called as the images beside them, else the images, as masks, and
    texts only where there is nothing else.

    Raises:
        TruthError: there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    structured = [
        path for path in files if _has_suffix(path, (".csv", ".xml", ".json")) and find_reader(path)
    ]
    images = [path for path in files if _has_suffix(path, mask_images.SUFFIXES)]
    written = [path for path in files if _has_suffix(path, (".txt",))]
    pages = {path.stem for path in images}
    found = structured or [path for path in written if path.stem in pages] or images or written
    if not found:
        raise TruthError(f"{folder} holds no truth; name another folder, with {FORMS}")
    return found


def _has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes


def all_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the files that are read of some files and folders.

    Raises:
        TruthError: there is nothing at one of the paths, or no truth in a folder.
    """
    for path in dict.fromkeys(path.resolve() for path in paths):
        if path.is_dir():
            yield from files_in(path)
        elif path.is_file():
            yield path
        else:
            raise TruthError(f"there is no truth at {path}; correct the path")
