"""A small font that tests build themselves: known shapes, placeholders and empty glyphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

UNITS = 1000

#: (left, bottom, right, top) in font units, 1000 to the em.
Bar = tuple[int, int, int, int]


def build_font(path: Path, shapes: Mapping[str, tuple[Bar, ...]]) -> Path:
    """A TrueType file that draws each character as filled bars; no bars draw nothing."""
    names = {character: f"u{ord(character):05X}" for character in shapes}
    builder = FontBuilder(UNITS, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    glyphs = {names[character]: _glyph(bars) for character, bars in shapes.items()}
    builder.setupGlyf({".notdef": _glyph(()), **glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (UNITS, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Drawn", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def distinct_shapes(characters: str) -> dict[str, tuple[Bar, ...]]:
    """A shape of its own for each character: a post, and a bar for each bit of its number."""
    shapes: dict[str, tuple[Bar, ...]] = {}
    for number, character in enumerate(characters):
        rows = [0, *(row + 1 for row in range(7) if number >> row & 1), 8]
        shapes[character] = ((400, 0, 520, 850), *((100, 100 * row, 850, 100 * row + 50) for row in rows))
    return shapes


def _glyph(bars: tuple[Bar, ...]) -> object:
    pen = TTGlyphPen(None)
    for left, bottom, right, top in bars:
        pen.moveTo((left, bottom))
        pen.lineTo((left, top))
        pen.lineTo((right, top))
        pen.lineTo((right, bottom))
        pen.closePath()
    return pen.glyph()
