"""This module draws what was read over a page, for a person to judge: mask, boxes, labels and order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fumikura.core.archives.images import scaled
from fumikura.core.folding import fold
from fumikura.core.page import Box, Character, PageImage

Colour = tuple[int, int, int]
Corners = tuple[float, float, float, float]

#: Of what people say stands on a page.
TRUTH: Colour = (0, 140, 80)

_SURE: Colour = (0, 92, 175)
_UNSURE: Colour = (214, 64, 20)
_ORDER: Colour = (20, 150, 110)
_TINT: Colour = (180, 220, 255)
_PAPER: Colour = (255, 253, 248)

# Marks that say "repeat all above" are as high as two characters, and the font has them in halves.
_HALVES = {"〱": "〳〵", "〲": "〴〵"}
_MISSING = "〓"  # what printers set for a type they lack


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark is a box to draw, and what stands beside it.

    Attributes:
        label: in the colour of the box.
        truth: what the label should be, below it in the colour `TRUTH`; empty for a right one.
    """

    box: Box
    label: str
    colour: Colour
    truth: str = ""


@dataclass(frozen=True, slots=True)
class _Pen:
    canvas: ImageDraw.ImageDraw
    width: int
    right_edge: int

    def write(self, text: str, spot: tuple[float, float], size: int, colour: Colour, anchor: str) -> None:
        """Write text with a rim of paper around it, legible on ink."""
        self.canvas.text(
            spot,
            text,
            fill=colour,
            font=_font(size),
            anchor=anchor,
            stroke_width=max(2, size // 9),
            stroke_fill=_PAPER,
        )


def draw(
    page: PageImage,
    *,
    mask: NDArray[np.bool_] | None,
    characters: Sequence[Character],
    unsure_below: float = 0.5,
) -> Image.Image:
    """Draw all that was read over a page, at the resolution of its pixels.

    A thin line joins the characters of each column, whose number stands above it.

    Args:
        mask: bool of any resolution, tinted; None to leave that out.
        characters: in reading order.
        unsure_below: labels of less confidence are drawn in red rather than blue.
    """
    picture = _tint(page.pixels, mask)
    pen = _pen(picture)
    _draw_order(pen, characters, [_corners(character.box, page.scale) for character in characters])
    colours = [_UNSURE if character.confidence < unsure_below else _SURE for character in characters]
    marks = [
        Mark(character.box, character.label, colour)
        for character, colour in zip(characters, colours, strict=True)
    ]
    _draw_marks(pen, marks, page.scale)
    return picture


def draw_marks(page: PageImage, marks: Sequence[Mark]) -> Image.Image:
    """Draw boxes and labels in their colours over a page, at the resolution of its pixels."""
    picture = Image.fromarray(page.pixels)
    _draw_marks(_pen(picture), marks, page.scale)
    return picture


def resized(page: PageImage, long_side: int) -> PageImage:
    """Resize a page to so many pixels along its long side."""
    picture = Image.fromarray(page.pixels)
    picture = picture.resize(scaled(*picture.size, long_side), Image.Resampling.BICUBIC)
    return PageImage(np.asarray(picture), page.width, page.height)


def _pen(picture: Image.Image) -> _Pen:
    return _Pen(ImageDraw.Draw(picture), max(1, round(max(picture.size) / 1600)), picture.width)


def _draw_marks(pen: _Pen, marks: Sequence[Mark], scale: float) -> None:
    corners = [_corners(mark.box, scale) for mark in marks]
    for mark, place in zip(marks, corners, strict=True):
        _draw_box(pen, place, mark.colour)
    # After all boxes, so that no box strikes through a label.
    for mark, place, size in zip(marks, corners, _label_sizes(corners), strict=True):
        _draw_label(pen, mark.label, place, size, mark.colour)
        if mark.truth:
            # Below, and not to the left: there stand the labels of the next column.
            left, top, right, bottom = place
            _draw_label(pen, mark.truth, (left, top + size, right, bottom), size, TRUTH)


def _tint(pixels: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> Image.Image:
    picture = Image.fromarray(pixels)
    if mask is None:
        return picture
    area = Image.fromarray(mask).convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    tint = Image.new("RGB", picture.size, _TINT)
    # Multiplied like a marker pen: paper takes the colour, ink stays black.
    marked = Image.fromarray((pixels.astype(np.uint16) * np.asarray(tint) // 255).astype(np.uint8))
    return Image.composite(marked, picture, area)


def _corners(box: Box, scale: float) -> Corners:
    return (box.x * scale, box.y * scale, (box.x + box.width) * scale, (box.y + box.height) * scale)


def _draw_box(pen: _Pen, place: Corners, colour: Colour) -> None:
    left, top, right, bottom = place
    radius = 3 * pen.width
    # Pillow raises ValueError for some boxes that its round corners fill.
    if min(right - left, bottom - top) < 2 * radius + 2:
        radius = 0
    pen.canvas.rounded_rectangle(place, radius=radius, outline=colour, width=pen.width)


def _draw_order(pen: _Pen, characters: Sequence[Character], corners: Sequence[Corners]) -> None:
    columns = groupby(zip(characters, corners, strict=True), key=lambda pair: pair[0].column_number)
    for number, pairs in columns:
        places = [place for _, place in pairs]
        for above, below in pairwise(places):
            # From edge to edge, and not through the middles: it leaves the ink alone.
            step = ((above[0] + above[2]) / 2, above[3], (below[0] + below[2]) / 2, below[1])
            pen.canvas.line(step, fill=_ORDER, width=2 * pen.width)
        left, top, right, _ = places[0]
        pen.write(str(number + 1), ((left + right) / 2, top - 3 * pen.width), 18 * pen.width, _ORDER, "mb")


def _label_sizes(corners: Sequence[Corners]) -> list[int]:
    """Choose font sizes: half a character, but near the page's usual one, or a narrow し is illegible."""
    sides = [math.sqrt((right - left) * (bottom - top)) for left, top, right, bottom in corners]
    usual = statistics.median(sides) if sides else 0
    return [max(8, round(0.55 * min(max(side, 0.75 * usual), 1.6 * usual))) for side in sides]


def _draw_label(pen: _Pen, label: str, place: Corners, size: int, colour: Colour) -> None:
    left, top, right, _ = place
    fits = right + 1.2 * size < pen.right_edge
    x, anchor = (right + 2 * pen.width, "lt") if fits else (left - 2 * pen.width, "rt")
    for number, glyph in enumerate(drawable(label) or _MISSING):
        pen.write(glyph, (x, top + number * size), size, colour, anchor)


def drawable(label: str) -> str | None:
    """Choose what to set for a label, from top to bottom: itself, or a form of it that the font can draw."""
    forms = (label, _HALVES.get(label, ""), fold(label))
    return next((text for text in forms if text and all(map(_is_drawn, text))), None)


@lru_cache(maxsize=8192)
def _is_drawn(char: str) -> bool:
    """Tell whether the font has the character: what it lacks it draws all alike."""
    font = _font(24)
    return bytes(font.getmask(char)) != bytes(font.getmask("\uffff"))


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(), size)


def font_path() -> Path:
    """Find the font that labels are set in: IPAex Gothic, which matplotlib-fontja carries."""
    # Found without importing the package, which would import matplotlib.
    spec = find_spec("matplotlib_fontja")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "fonts" / "ipaexg.ttf"
