"""This module reads from truth files what people say is on each page.

Reads CODH's coordinate CSV, the `train.csv` of Kaggle's kuzushiji contest, and mask images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fumikura.core.archives.kinds import is_page_name
from fumikura.core.archives.names import one_form
from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, PageReference, Truth
from fumikura.core.vocabulary import clean_text

_MASK_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_CODH_COLUMNS = frozenset({"Unicode", "Image", "X", "Y", "Width", "Height"})
_KAGGLE_COLUMNS = frozenset({"image_id", "labels"})

Row = dict[str, str]
Known = TypeVar("Known")


def load_truths(complete: Sequence[Path], partial: Sequence[Path]) -> dict[str, Truth]:
    """Load truth of both kinds; a page that has both is compared with what is complete."""
    return {**load_truth(partial, partial=True), **load_truth(complete)}


def match_pages(pages: Iterable[PageReference], known: Mapping[str, Known]) -> dict[str, Known]:
    """Find what is known of each page, by its digest, from what is known by page name.

    Raises:
        TruthError: two different pages have a name that something is known of.
    """
    found: dict[str, PageReference] = {}
    for page in pages:
        if page.name not in known:
            continue
        other = found.setdefault(page.name, page)
        if other.digest != page.digest:
            raise TruthError(
                f"the truth for {page.name!r} fits two different pages, {other.archive}/{other.member} and"
                f" {page.archive}/{page.member}; read them in two runs, each with its own --truth"
            )
    return {page.digest: known[name] for name, page in found.items()}


def load_truth(paths: Sequence[Path], *, partial: bool = False) -> dict[str, Truth]:
    """Load the truth of each page, by page name (a file name without its ending).

    Args:
        paths: CSV files, mask images, or folders. In a folder that holds CSV files of a known
            form only these count, since the images beside them are the pages themselves.
        partial: some characters of these pages lack a box.

    Raises:
        TruthError: names the file and the line.
    """
    try:
        return _merge(truth_files(paths), partial=partial)
    except OSError as error:
        raise TruthError(f"{error.filename} cannot be read ({error.strerror}); correct that") from error


def _merge(files: Iterable[Path], *, partial: bool) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    sources: dict[tuple[str, str], Path] = {}
    for path in files:
        for name, truth in _read_file(path):
            kind = "mask" if truth.boxes is None else "boxes"
            first = sources.setdefault((name, kind), path)
            if first != path:
                raise TruthError(f"page {name!r} has {kind} in {first} and in {path}; leave one of them out")
            before = truths.get(name, Truth(is_partial=partial))
            truths[name] = replace(
                before,
                boxes=before.boxes if truth.boxes is None else truth.boxes,
                is_ordered=before.is_ordered or truth.is_ordered,
                mask_png=truth.mask_png or before.mask_png,
            )
    return truths


def truth_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the files that `load_truth` reads."""
    for path in dict.fromkeys(path.resolve() for path in paths):
        if path.is_dir():
            yield from _files_in(path)
        elif path.is_file():
            yield path
        else:
            raise TruthError(f"there is no truth at {path}; correct the path")


def _files_in(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    tables = [path for path in files if path.suffix.lower() == ".csv" and _find_parser(path) is not None]
    masks = [path for path in files if path.suffix.lower() in _MASK_SUFFIXES]
    if not tables and not masks:
        raise TruthError(f"{folder} holds neither coordinate CSV files nor masks; name another folder")
    return tables or masks


def _read_file(path: Path) -> Iterator[tuple[str, Truth]]:
    if path.suffix.lower() in _MASK_SUFFIXES:
        yield one_form(path.stem), Truth(mask_png=_mask_png(path))
        return
    parse = _find_parser(path)
    if parse is None:
        raise TruthError(
            f"{path}, line 1: neither CODH's columns (Unicode, Image, X, Y, Width, Height)"
            " nor Kaggle's (image_id, labels); name a file of one of these forms"
        )
    yield from parse(path).items()


def _find_parser(path: Path) -> Callable[[Path], dict[str, Truth]] | None:
    """Choose the function that reads a CSV file with this one's columns.

    Raises:
        TruthError: it has most of CODH's columns and not all: in a folder, it must not be passed over.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            columns = {column.strip() for column in next(csv.reader(file), [])}
        except csv.Error:
            return None
    if columns >= _CODH_COLUMNS:
        return _parse_codh
    missing = sorted(_CODH_COLUMNS - columns)
    if len(missing) <= len(_CODH_COLUMNS) // 2:
        raise TruthError(f"{path}, line 1: there is no column {', '.join(missing)}; add what is missing")
    return _parse_kaggle if columns >= _KAGGLE_COLUMNS else None


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield for each row where it stands, for messages, and the row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row.values() or None in row:
                    raise TruthError(f"{where}: not as many values as columns; correct it")
                yield where, row
    except UnicodeDecodeError as error:
        raise TruthError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except csv.Error as error:
        raise TruthError(f"{path}, line {reader.line_num}: no CSV ({error}); correct the line") from error


def _parse_codh(path: Path) -> dict[str, Truth]:
    """Read truth by page, its boxes in reading order where each has a Char ID."""
    pages: dict[str, list[tuple[tuple[str, str], LabelledBox]]] = {}
    for where, row in _rows(path):
        boxes = pages.setdefault(_page_name(row["Image"]), [])
        values = (row["Unicode"], row["X"], row["Y"], row["Width"], row["Height"])
        box = _labelled_box(values, where)
        if box.label:
            boxes.append(((row.get("Block ID", ""), row.get("Char ID", "")), box))
    return {name: _in_order(boxes) for name, boxes in pages.items()}


def _in_order(boxes: list[tuple[tuple[str, str], LabelledBox]]) -> Truth:
    # Rows come in any order; "B0001" and "C0012" have leading zeros. Equal keys keep their order.
    boxes = sorted(boxes, key=lambda entry: entry[0])
    is_ordered = bool(boxes) and all(char_id for (_, char_id), _ in boxes)
    return Truth(boxes=tuple(box for _, box in boxes), is_ordered=is_ordered)


def _parse_kaggle(path: Path) -> dict[str, Truth]:
    """Read truth by page: `labels` repeats label, x, y, width, height, and is empty for a blank page."""
    pages: dict[str, Truth] = {}
    for where, row in _rows(path):
        values = row["labels"].split()
        if len(values) % 5:
            raise TruthError(
                f"{where}: {len(values)} values, not five for each character (label x y width height);"
                " name the contest's train.csv"
            )
        fives = (tuple(values[start : start + 5]) for start in range(0, len(values), 5))
        boxes = [_labelled_box(five, where) for five in fives]
        pages[_page_name(row["image_id"])] = Truth(boxes=tuple(box for box in boxes if box.label))
    return pages


def _labelled_box(values: Sequence[str], where: str) -> LabelledBox:
    """Read a box with its label in NFC; the label is empty for an editorial mark."""
    code, *numbers = values
    try:
        label = chr(int(code.removeprefix("U+"), 16))
        x, y, width, height = map(int, numbers)
        label.encode()
    except (ValueError, OverflowError) as error:
        raise TruthError(f"{where}: {' '.join(values)!r} is no 'U+XXXX x y width height'") from error
    if width <= 0 or height <= 0:
        raise TruthError(f"{where}: a box of {width} × {height} pixels holds nothing; correct the line")
    return LabelledBox(Box(x, y, width, height), clean_text(label))


def _page_name(image: str) -> str:
    path = PurePosixPath(one_form(image.strip()).replace("\\", "/"))
    return path.stem if is_page_name(path.name) else path.name


def _mask_png(path: Path) -> bytes:
    """Convert a mask to a 1-bit PNG, small enough to travel in the database."""
    from PIL import Image  # only masks need it, and `enqueue` starts faster without

    out = io.BytesIO()
    try:
        with Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
            grey = image.convert("L")
    except (OSError, SyntaxError, ValueError) as error:
        raise TruthError(f"{path} is no mask image ({error}); save it as PNG") from error
    grey.point(lambda value: 255 * (value >= 128), mode="1").save(out, "PNG", optimize=True)
    return out.getvalue()
