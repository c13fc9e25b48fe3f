"""This module reads rows of CSV files and the boxes in them, and says where something is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from fumikura.core.archives.kinds import is_page_name
from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox
from fumikura.core.vocabulary import clean_text

Row = dict[str, str]


def header(path: Path) -> frozenset[str]:
    """Read the columns of a CSV file; none of what is no CSV."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return frozenset(column.strip() for column in next(csv.reader(file), []))
        except csv.Error:
            return frozenset()


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield for each row where it stands, for messages, and the row.

    Raises:
        TruthError: names the line.
    """
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


def labelled_box(values: Sequence[str], where: str) -> LabelledBox:
    """Read a box with its label in NFC; the label is empty for an editorial mark."""
    code, *numbers = values
    try:
        label = chr(int(code.removeprefix("U+"), 16))
        x, y, width, height = map(int, numbers)
        label.encode()
    except (ValueError, OverflowError) as error:
        raise TruthError(f"{where}: {' '.join(values)!r} is no 'U+XXXX x y width height'") from error
    return LabelledBox(checked_box(x, y, width, height, where), clean_text(label))


def checked_box(x: float, y: float, width: float, height: float, where: str) -> Box:
    """Round a box to whole pixels.

    Raises:
        TruthError: it holds nothing.
    """
    left, top = round(x), round(y)
    box = Box(left, top, round(x + width) - left, round(y + height) - top)
    if box.width <= 0 or box.height <= 0:
        raise TruthError(f"{where}: a box of {width:g} × {height:g} pixels holds nothing; correct it")
    return box


def checked_label(label: str, where: str) -> str:
    """Give a label in NFC; empty for an editorial mark.

    Raises:
        TruthError: it is more than one character.
    """
    cleaned = clean_text(label)
    if len(cleaned) > 1:
        raise TruthError(f"{where}: a box says {label!r}, which is more than one character; correct it")
    return cleaned


def page_name(image: str) -> str:
    """Give the name of a page, which a table may write with folder and ending."""
    path = PurePosixPath(image.strip().replace("\\", "/"))
    return path.stem if is_page_name(path.name) else path.name
