"""This module writes Koji, the notation of みんなで翻刻 (honkoku.org)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

from fumikura.core import koji
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.notes import stretches
from fumikura.core.page import Character
from fumikura.core.read_page import ReadPage, marked_text


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages in UTF-8, a line a column. In a file of several, 【NAME】 stands above each, a remark."""
    for page in pages:
        lines = "".join(f"{_line(column, style)}\n" for column in page.columns)
        title = "" if style.extent == "page" else f"【{page.name}】\n"
        file.write(f"{title}{lines}".encode())


def _line(column: Sequence[Character], style: Style) -> str:
    # Characters do not know yet that they are furigana; when they do, 《振り仮名：…》 belongs here.
    parts = []
    for stretch in stretches(column):
        texts = [marked_text(tuple(some), unsure_below=style.unsure_below) for some in stretch]
        parts.append(koji.note(*texts) if len(texts) == 2 else texts[0])
    return "".join(parts)


FORMAT = Format(extents=("page", "book", "all"), suffix=".txt", write=write)
