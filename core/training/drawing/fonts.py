"""This module draws glyphs from fonts: what they truly draw, and a bitmap of it.

Fonts list characters that they do not draw: thousands of code points share one
placeholder or are empty. Here a font has only the characters that it draws.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fumikura.core.errors import FumikuraError
from fumikura.core.folding import written_as

FONT_SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".woff"})

#: Combining marks: the dakuten of が and the handakuten of ぱ.
VOICED, HALF_VOICED = "\u3099", "\u309a"

# Pairs with one bitmap are real: old and new forms of a kanji, small and large
# kana in cursive fonts. Placeholders are shared by hundreds.
MOST_SHARING = 3

_PROBE_SIZE = 24


@dataclass(frozen=True, slots=True)
class GlyphFont:
    """This is a font file and the characters that it truly draws.

    Attributes:
        name: the file's name without its ending.
        characters: code points with a glyph of their own, hentaigana among them.
    """

    path: Path
    name: str
    characters: frozenset[str]


def load_fonts(folders: Sequence[Path]) -> list[GlyphFont]:
    """Load the fonts in some folders and their subfolders, in order of their paths; a file stands for itself.

    Raises:
        FumikuraError: a folder is missing, none of them holds a font, or a font is damaged.
    """
    paths: list[Path] = []
    for folder in folders:
        if not folder.exists():
            raise FumikuraError(f"there is no font folder {folder}; install the fonts or name another folder")
        files = folder.rglob("*") if folder.is_dir() else [folder]
        paths += sorted(path for path in files if path.suffix.lower() in FONT_SUFFIXES)
    if not paths:
        raise FumikuraError(
            f"no fonts in {', '.join(map(str, folders))}; name a folder with .ttf or .otf files"
        )
    return [GlyphFont(path, path.stem, drawn_characters(path)) for path in paths]


def drawn_characters(path: Path) -> frozenset[str]:
    """List the characters that a font file draws: not empty, and not as many others.

    Raises:
        FumikuraError: the file is no font, or damaged.
    """
    sharing: defaultdict[bytes, list[str]] = defaultdict(list)
    try:
        for character in _listed_characters(path):
            mask = _face(path, _PROBE_SIZE).getmask(character)
            if mask.getbbox() is not None:
                sharing[repr(mask.size).encode() + bytes(mask)].append(character)
    except Exception as error:  # of a damaged font fontTools may raise anything
        raise FumikuraError(f"{path} is no font that can be read ({error!r}); leave it out") from error
    return frozenset(
        character for group in sharing.values() if len(group) <= MOST_SHARING for character in group
    )


def variants(font: GlyphFont, label: str) -> tuple[str, ...]:
    """List all that a font can draw for a label: the character, its old forms, hentaigana that read as it.

    A voiced kana whose hentaigana have no code points of their own is a base
    hentaigana followed by a combining mark; `draw_glyph` composes it.
    """
    own = tuple(form for form in (label, *written_as(label)) if form in font.characters)
    base, mark = _unvoiced(label)
    others = (variant for variant in hentaigana().get(base, ()) if variant in font.characters)
    return tuple(dict.fromkeys(own + tuple(variant + mark for variant in others)))


@cache
def hentaigana() -> dict[str, tuple[str, ...]]:
    """Map modern kana to the hentaigana code points that read as it, from their Unicode names."""
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for code_point in range(0x1B001, 0x1B11F):
        name = unicodedata.name(chr(code_point), "").replace(
            "HIRAGANA LETTER ARCHAIC YE", "HENTAIGANA LETTER E-0"
        )
        if name.startswith("HENTAIGANA LETTER "):
            # Of several readings (KA-KE, N-MU-MO) the first stands in modern texts.
            sound = name.removeprefix("HENTAIGANA LETTER ").split("-")[0]
            forms[unicodedata.lookup(f"HIRAGANA LETTER {sound}")].append(chr(code_point))
    return {kana: tuple(points) for kana, points in forms.items()}


def draw_glyph(font: GlyphFont, character: str, size: int) -> NDArray[np.uint8]:
    """Draw a glyph as a crop would show it: (size, size), ink 255 on 0.

    The ink's long side fills the square, its aspect is kept, its short side is centred.

    Args:
        character: a label that the font draws, or one of its `variants`.
    """
    ink = glyph_ink(font, character, max(2 * size, 32))
    scale = size / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    image = Image.fromarray(ink).resize((width, height), Image.Resampling.LANCZOS)
    square = np.zeros((size, size), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = np.asarray(image)
    return square


def glyph_ink(font: GlyphFont, character: str, size: int) -> NDArray[np.uint8]:
    """Draw a glyph at a font size in pixels, (H, W) tight around its ink, 255 on 0.

    Unlike `draw_glyph` it keeps small characters small.

    Raises:
        ValueError: the font does not draw the character.
    """
    base, mark = character[:1], character[1:]
    if base not in font.characters:
        raise ValueError(f"{font.name} does not draw {character!r}; ask variants() first")
    ink = _bitmap(_face(font.path, size), base)
    return _with_mark(ink, mark) if mark else ink


@lru_cache(maxsize=512)
def _face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout draws code points one by one; raqm fails on lone combining marks.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _bitmap(face: ImageFont.FreeTypeFont, character: str) -> NDArray[np.uint8]:
    mask = face.getmask(character)
    width, height = mask.size
    ink = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
    rows, columns = np.flatnonzero(ink.max(1)), np.flatnonzero(ink.max(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _listed_characters(path: Path) -> list[str]:
    # fontTools is an extra that only training needs.
    from fontTools.ttLib import TTFont

    with path.open("rb") as file, TTFont(file, lazy=True, fontNumber=0) as table:
        return [chr(code_point) for code_point in sorted(table.getBestCmap() or ())]


def _unvoiced(label: str) -> tuple[str, str]:
    """Split a voiced kana: が -> (か, combining dakuten); か -> (か, nothing)."""
    parts = unicodedata.normalize("NFD", label)
    return (parts[0], parts[1]) if parts[1:] in (VOICED, HALF_VOICED) else (label, "")


def _with_mark(ink: NDArray[np.uint8], mark: str) -> NDArray[np.uint8]:
    """Draw two drops (or a ring) at the upper right of the ink, where a brush puts them."""
    height, width = ink.shape
    unit = max(2, max(height, width) // 8)
    canvas = Image.new("L", (width + 2 * unit, height + unit))
    canvas.paste(Image.fromarray(ink), (0, unit))
    draw = ImageDraw.Draw(canvas)
    left = width + unit // 4
    if mark == HALF_VOICED:
        draw.ellipse((left, 0, left + 2 * unit, 2 * unit), outline=255, width=max(1, unit // 3))
        return np.asarray(canvas)
    for shift in (0, unit):
        start, end = (left + shift, unit // 3), (left + shift + unit * 2 // 3, unit + unit // 3)
        draw.line((start, end), fill=255, width=max(1, unit // 2))
    return np.asarray(canvas)
