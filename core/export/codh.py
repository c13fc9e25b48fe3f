"""This module writes coordinate CSV as the Center for Open Data in the Humanities publishes it.

The form is that of its Kuzushiji data set (doi:10.20676/00000340): a row a character, a file a book.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import IO

from fumikura.core.export.formats import Format, Style
from fumikura.core.export.page_names import distinctly_named
from fumikura.core.read_page import ReadPage

COLUMNS = ("Unicode", "Image", "X", "Y", "Block ID", "Char ID", "Width", "Height")


def code_point(label: str) -> str:
    """Write a label as U+304B."""
    return f"U+{ord(label):04X}"


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write characters; their Char ID tells the reading order, all of a page are one block.

    A page without characters leaves no row: `jsonl` and `kaggle` keep it.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for page in distinctly_named(pages):
        for number, character in enumerate(page.characters, start=1):
            box = character.box
            order = ("B0001", f"C{number:04}")
            row = (code_point(character.label), page.name, box.x, box.y, *order, box.width, box.height)
            table.writerow(row)
    text.detach()


FORMAT = Format(extents=("book", "all", "page"), suffix="_coordinate.csv", name="all", write=write)
