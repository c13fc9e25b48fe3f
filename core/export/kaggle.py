"""This module writes a submission of Kaggle's contest "Kuzushiji Recognition" (2019).

Its form: `image_id`, and in `labels` code point, x and y of each character's middle, all parted by blanks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import IO

from fumikura.core.export.codh import code_point
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.page_names import distinctly_named
from fumikura.core.read_page import ReadPage


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write a row a page; that of a page without characters has no labels."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image_id", "labels"))
    for page in distinctly_named(pages):
        found = []
        for character in page.characters:
            y, x = character.box.centre
            found.append(f"{code_point(character.label)} {int(x)} {int(y)}")
        table.writerow((page.name, " ".join(found)))
    text.detach()


FORMAT = Format(extents=("all", "book"), suffix=".csv", name="submission", write=write)
