"""This module writes plain text: a line a column, and an empty one between two leaves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import IO

from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage, marked_text


def page_text(page: ReadPage, *, unsure_below: float | None = None) -> str:
    """Write the text of a page, a line a column, the rightmost first; empty for a page without characters.

    Leaves are an empty line apart. Furigana and what stands in the margin are left out.
    """
    leaves = groupby(page.text_columns, key=lambda column: column[0].leaf)
    return "\n".join(
        "".join(f"{marked_text(column, unsure_below=unsure_below)}\n" for column in columns)
        for _, columns in leaves
    )


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages in UTF-8. In a file of several, a line `# NAME` stands above each, and an empty one below.

    `fumikura train context --transcripts` reads that form too.
    """
    for page in pages:
        text = page_text(page, unsure_below=style.unsure_below)
        file.write((text if style.extent == "page" else f"# {page.name}\n{text}\n").encode())


FORMAT = Format(extents=("page", "book", "all"), suffix=".txt", write=write)
