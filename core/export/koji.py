"""This module writes Koji, the notation of みんなで翻刻 (honkoku.org)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO

from fumikura.core import koji
from fumikura.core.export.blocks import blocks, readings
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.notes import stretches
from fumikura.core.page import Character, Role
from fumikura.core.read_page import ReadPage, marked_text

_MARGIN = "欄外"
_Furigana = Mapping[Character, Sequence[Character]]


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages in UTF-8, a line a column. In a file of several, 【NAME】 stands above each, a remark.

    Furigana stand beside their character; what stands in the margin is a remark in a line of its own.
    """
    for page in pages:
        title = "" if style.extent == "page" else f"【{page.name}】\n"
        file.write(f"{title}{''.join(_lines(page, style))}".encode())


def _lines(page: ReadPage, style: Style) -> Iterable[str]:
    furigana = readings(page)
    for block in blocks(page):
        for _, column in block.columns:
            if block.role is Role.MAIN:
                yield f"{_line(column, style, furigana)}\n"
            elif block.role is Role.MARGIN:
                yield f"{koji.remark(_MARGIN, _text(column, style, {}))}\n"


def _line(column: Sequence[Character], style: Style, furigana: _Furigana) -> str:
    parts = []
    for stretch in stretches(column):
        texts = [_text(some, style, furigana) for some in stretch]
        parts.append(koji.note(*texts) if len(texts) == 2 else texts[0])
    return "".join(parts)


def _text(characters: Sequence[Character], style: Style, furigana: _Furigana) -> str:
    if not furigana:
        return marked_text(tuple(characters), unsure_below=style.unsure_below)
    return "".join(
        koji.reading(_text([one], style, {}), _text(furigana[one], style, {}))
        if one in furigana
        else _text([one], style, {})
        for one in characters
    )


FORMAT = Format(extents=("page", "book", "all"), suffix=".txt", write=write)
