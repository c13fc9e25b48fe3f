"""This module makes the font of a PDF's invisible text: all characters are there, none has a shape.

A code stands for a character in one length, in the order of appearance, so that a whole column can be one
string: readers take it for a line only then. ToUnicode tells them what a code means.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from fumikura.core.errors import UsageError

try:
    import pikepdf as pikepdf  # pdf.py has it from here, where its absence is told
except ImportError as error:
    raise UsageError("PDF needs another package: pip install 'fumikura[pdf]'") from error

#: A CMap may hold so many lines in one block (Adobe technical note 5014).
_LINES_A_BLOCK = 100
_NAME = "/Glyphless"
#: A character is a square, of which this much stands below and above the base line.
_SIDE, _BOTTOM, _TOP = 1000, -120, 880
_CMAP_HEAD = (
    "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
    "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
    "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
)
_CMAP_FOOT = "\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"


class GlyphlessFont:
    """This font counts what is set in it, 65,535 different things at most. `fill` writes it at the end."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, int], str] = {}

    def code(self, label: str, length: int) -> str:
        """Give the code of a label, in hexadecimal.

        Args:
            length: along the line, in thousandths of the font's size.
        """
        return self._codes.setdefault((label, length), f"{len(self._codes) + 1:04X}")

    def fill(self, pdf: pikepdf.Pdf, font: Any) -> None:
        """Write the font into a dictionary that pages refer to already."""
        name = pikepdf.Name(_NAME)
        descriptor = pikepdf.Dictionary(
            Type=pikepdf.Name.FontDescriptor,
            FontName=name,
            Flags=4,
            FontBBox=[0, _BOTTOM, _SIDE, _TOP],
            ItalicAngle=0,
            Ascent=_TOP,
            Descent=_BOTTOM,
            CapHeight=_TOP,
            StemV=80,
            FontFile2=pdf.make_stream(_file()),
        )
        system = pikepdf.Dictionary(
            Registry=pikepdf.String("Adobe"), Ordering=pikepdf.String("Identity"), Supplement=0
        )
        characters = pikepdf.Dictionary(
            Type=pikepdf.Name.Font,
            Subtype=pikepdf.Name.CIDFontType2,
            BaseFont=name,
            CIDSystemInfo=system,
            CIDToGIDMap=pdf.make_stream(b"\0\1" * (len(self._codes) + 1)),  # all are glyph 1
            DW=_SIDE,
            W=[1, [length for _, length in self._codes]],
            FontDescriptor=pdf.make_indirect(descriptor),
        )
        font.Type = pikepdf.Name.Font
        font.Subtype = pikepdf.Name.Type0
        font.BaseFont = name
        font.Encoding = pikepdf.Name("/Identity-H")
        font.DescendantFonts = [pdf.make_indirect(characters)]
        font.ToUnicode = pdf.make_stream(self._to_unicode().encode())

    def _to_unicode(self) -> str:
        lines = [f"<{code}> <{label.encode('utf-16-be').hex()}>" for (label, _), code in self._codes.items()]
        blocks = [lines[start : start + _LINES_A_BLOCK] for start in range(0, len(lines), _LINES_A_BLOCK)]
        mapped = "\n".join(
            f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks
        )
        return _CMAP_HEAD + mapped + _CMAP_FOOT


@cache
def _file() -> bytes:
    """Make a TrueType font with an empty glyph, and the extent of a square."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    # PDFium, in Chrome, passes over text without extent: two lines without breadth mark the corners.
    pen = TTGlyphPen(None)
    for x, y in ((0, _BOTTOM), (_SIDE - 1, _TOP)):
        pen.moveTo((x, y))
        pen.lineTo((x + 1, y))
        pen.lineTo((x, y))
        pen.closePath()
    blank = pen.glyph()
    builder = FontBuilder(_SIDE, isTTF=True)
    builder.setupGlyphOrder([".notdef", "blank"])
    builder.setupCharacterMap({})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "blank": blank})
    builder.setupHorizontalMetrics({".notdef": (_SIDE, 0), "blank": (_SIDE, 0)})
    builder.setupHorizontalHeader(ascent=_TOP, descent=_BOTTOM)
    builder.setupNameTable({"familyName": "Glyphless", "styleName": "Regular", "psName": "Glyphless"})
    builder.setupOS2()
    builder.setupPost()
    # A font of the same content is then the same file.
    builder.font.recalcTimestamp = False
    builder.font["head"].created = builder.font["head"].modified = 0
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()
