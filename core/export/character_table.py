"""This module writes a table with a row for each character, for spreadsheets and statistics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage

COLUMNS = (
    "page",
    "book",
    "position",
    "column",
    "x",
    "y",
    "width",
    "height",
    "label",
    "confidence",
    "alternatives",
    "leaf",
    "role",
)


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write characters as CSV in UTF-8 with a byte order mark, without which Excel shows no Japanese."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for page in pages:
        table.writerows(rows(page))
    text.detach()


def rows(page: ReadPage) -> Iterator[tuple[Any, ...]]:
    """Give a page's rows; positions and columns count from 1, as `show` draws them.

    The next-best labels stand in one cell, "ぬ 0.25 め 0.12", the best first.
    """
    for position, character in zip(page.positions, page.characters, strict=True):
        box = character.box
        others = " ".join(f"{label} {share:.4f}" for label, share in character.alternatives)
        yield (
            page.name,
            page.book,
            position + 1,
            character.column_number + 1,
            *(box.x, box.y, box.width, box.height),
            character.label,
            f"{character.confidence:.4f}",
            others,
            character.leaf + 1,
            character.role.value,
        )


FORMAT = Format(
    extents=("all", "book", "page"), suffix=".csv", name="characters", write=write, has_alternatives=True
)
