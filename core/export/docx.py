"""This module writes Word documents whose text runs from top to bottom: a heading a page, a line a column.

A document is held whole until it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from fumikura.core.errors import UsageError
from fumikura.core.export.columns import program, xml_text
from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage, marked_text

try:
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.oxml.ns import qn
    from docx.oxml.parser import OxmlElement
    from docx.shared import Mm, Pt
except ImportError as error:
    raise UsageError("docx needs another package: pip install 'fumikura[docx]'") from error

_FONT = "Yu Mincho"
#: Of A4, which lies on its side, as vertical writing has it.
_WIDE_MM, _HIGH_MM = 297, 210


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages, each on paper of its own."""
    document = Document()
    _set_up(document)
    title = ""
    for number, page in enumerate(pages):
        title = title or {"page": page.name, "book": page.book, "all": "fumikura"}[style.extent]
        heading = document.add_heading(xml_text(page.name), level=2)
        heading.paragraph_format.page_break_before = number > 0
        for column in page.text_columns:
            document.add_paragraph(marked_text(column, unsure_below=style.unsure_below))
    document.core_properties.title = xml_text(title)[:255]
    document.core_properties.author = program()
    document.core_properties.language = "ja"
    document.save(file)


def _set_up(document: Any) -> None:
    """Let text run from top to bottom, in a font that has kanji and kana."""
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(_WIDE_MM), Mm(_HIGH_MM)
    direction = OxmlElement("w:textDirection")
    direction.set(qn("w:val"), "tbRl")
    # The schema has an order: it comes right before docGrid.
    grid = section._sectPr.find(qn("w:docGrid"))
    section._sectPr.append(direction) if grid is None else grid.addprevious(direction)
    normal = document.styles["Normal"]
    normal.font.size = Pt(14)
    normal.paragraph_format.space_after = Pt(0)
    for name in ("Normal", "Heading 2"):
        fonts = document.styles[name].element.get_or_add_rPr().get_or_add_rFonts()
        fonts.set(qn("w:eastAsia"), _FONT)


FORMAT = Format(extents=("book", "page", "all"), suffix=".docx", write=write)
