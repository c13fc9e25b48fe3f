"""This module draws what was read over a page, for a person to judge: mask, boxes, labels and order.

The scan itself stays as it is: the mask is a line around the ink, boxes have a rim of paper so that they
are seen in red seals too, and what needs room beside the page gets a margin.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from fumikura.core.archives.images import scaled
from fumikura.core.lettering import MISSING, drawable, font
from fumikura.core.page import Box, Character, Leaf, PageImage

Colour = tuple[int, int, int]
Corners = tuple[float, float, float, float]

#: Of what people say stands on a page.
TRUTH: Colour = (0, 140, 80)
#: Of labels, by the confidence below which they are drawn so; told apart by the colour-blind too.
CONFIDENCE: tuple[tuple[float, Colour], ...] = (
    (0.3, (165, 0, 38)),
    (0.5, (214, 84, 10)),
    (0.7, (150, 112, 0)),
    (0.9, (0, 128, 128)),
    (1.01, (0, 84, 170)),
)

#: Of column numbers, and of the line through a column.
ORDER: Colour = (110, 110, 110)
_MASK: Colour = (150, 60, 190)
_LEAF: Colour = (200, 120, 0)
_PAPER: Colour = (255, 253, 248)
_INK: Colour = (40, 40, 40)


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

    def write(self, text: str, spot: tuple[float, float], size: int, colour: Colour, anchor: str) -> None:
        """Write text with a rim of paper around it, legible on ink."""
        self.canvas.text(
            spot,
            text,
            fill=colour,
            font=font(size),
            anchor=anchor,
            stroke_width=max(2, size // 9),
            stroke_fill=_PAPER,
        )


def draw(
    page: PageImage,
    *,
    mask: NDArray[np.bool_] | None,
    characters: Sequence[Character],
    leaves: Sequence[Leaf] = (),
    say: Callable[[str], str] = str,
) -> Image.Image:
    """Draw all that was read over a page, at the resolution of its pixels, with a legend below.

    A thin line joins the characters of each column, whose number stands above it. The picture is broader
    than the page where the labels of its edge need the room.

    Args:
        mask: bool of any resolution, outlined; None to leave that out.
        characters: in reading order.
        leaves: whose outlines are drawn.
        say: gives the words of the legend in the reader's language.
    """
    marks = [Mark(one.box, one.label, confidence_colour(one.confidence)) for one in characters]
    picture = _outline(Image.fromarray(page.pixels), mask)
    picture, pen = _with_margin(picture, marks, page.scale)
    for leaf in leaves:
        corners = [(x * page.scale, y * page.scale) for x, y in leaf.outline]
        pen.canvas.line([*corners, corners[0]], fill=_LEAF, width=2 * pen.width)
    _draw_order(pen, characters, [_corners(one.box, page.scale) for one in characters])
    _draw_marks(pen, marks, page.scale)
    if not characters and mask is None:
        return picture
    return _with_legend(picture, has_mask=mask is not None, say=say)


def draw_marks(page: PageImage, marks: Sequence[Mark]) -> Image.Image:
    """Draw boxes and labels in their colours over a page, at the resolution of its pixels."""
    picture, pen = _with_margin(Image.fromarray(page.pixels), marks, page.scale)
    _draw_marks(pen, marks, page.scale)
    return picture


def confidence_colour(confidence: float) -> Colour:
    """Choose the colour of a label that is so probable, in [0, 1]."""
    return next(colour for below, colour in CONFIDENCE if confidence < below)


def resized(page: PageImage, long_side: int) -> PageImage:
    """Resize a page to so many pixels along its long side."""
    picture = Image.fromarray(page.pixels)
    # In whole steps first: a large scan takes a third of the time, and looks the same.
    picture = picture.resize(scaled(*picture.size, long_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return PageImage(np.asarray(picture), page.width, page.height)


def _line_width(size: tuple[int, int]) -> int:
    return max(1, round(max(size) / 1600))


def _outline(picture: Image.Image, mask: NDArray[np.bool_] | None) -> Image.Image:
    """Draw a line around the mask, outside it: paper and ink within keep their colours."""
    if mask is None or not mask.any():
        return picture
    area = Image.fromarray(mask).convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    area = area.point(lambda value: 255 * (value >= 128))
    # A blur and not Pillow's MaxFilter, which takes ten times as long as all the rest.
    grown = area.filter(ImageFilter.BoxBlur(_line_width(picture.size))).point(lambda value: 255 * (value > 0))
    picture.paste(_MASK, mask=ImageChops.subtract(grown, area))
    return picture


def _with_margin(picture: Image.Image, marks: Sequence[Mark], scale: float) -> tuple[Image.Image, _Pen]:
    """Add paper at the right where a label of the last column would else run over the edge."""
    width = _line_width(picture.size)
    corners = [_corners(mark.box, scale) for mark in marks]
    ends = [right + 2 * width + 1.2 * size for (_, _, right, _), size in _with_sizes(corners)]
    more = math.ceil(max([picture.width, *ends])) - picture.width
    if more:
        wider = Image.new("RGB", (picture.width + more, picture.height), _PAPER)
        wider.paste(picture)
        picture = wider
    return picture, _Pen(ImageDraw.Draw(picture), width)


def _draw_marks(pen: _Pen, marks: Sequence[Mark], scale: float) -> None:
    corners = [_corners(mark.box, scale) for mark in marks]
    for mark, place in zip(marks, corners, strict=True):
        _draw_box(pen, place, mark.colour)
    # After all boxes, so that no box strikes through a label.
    for mark, (place, size) in zip(marks, _with_sizes(corners), strict=True):
        _draw_label(pen, mark.label, place, size, mark.colour)
        if mark.truth:
            # Below, and not to the left: there stand the labels of the next column.
            left, top, right, bottom = place
            _draw_label(pen, mark.truth, (left, top + size, right, bottom), size, TRUTH)


def _corners(box: Box, scale: float) -> Corners:
    return (box.x * scale, box.y * scale, (box.x + box.width) * scale, (box.y + box.height) * scale)


def _draw_box(pen: _Pen, place: Corners, colour: Colour) -> None:
    """Draw a box in its colour between two lines of paper, so that it is seen on paper, ink and seals."""
    left, top, right, bottom = place
    width = pen.width
    for outward, shade, thickness in ((width, _PAPER, 3 * width), (0, colour, width)):
        outer = (left - outward, top - outward, right + outward, bottom + outward)
        radius = 3 * width + outward
        # Pillow raises ValueError for some boxes that its round corners fill.
        if min(right - left, bottom - top) + 2 * outward < 2 * radius + 2 * thickness:
            radius = 0
        pen.canvas.rounded_rectangle(outer, radius=radius, outline=shade, width=thickness)


def _draw_order(pen: _Pen, characters: Sequence[Character], corners: Sequence[Corners]) -> None:
    columns = groupby(zip(characters, corners, strict=True), key=lambda pair: pair[0].column_number)
    for number, pairs in columns:
        places = [place for _, place in pairs]
        for above, below in pairwise(places):
            # From edge to edge, and not through the middles: it leaves the ink alone.
            step = ((above[0] + above[2]) / 2, above[3], (below[0] + below[2]) / 2, below[1])
            pen.canvas.line(step, fill=ORDER, width=2 * pen.width)
        left, top, right, _ = places[0]
        size = 18 * pen.width
        spot = ((left + right) / 2, max(top - 4 * pen.width, 1.2 * size))
        pen.write(str(number + 1), spot, size, ORDER, "mb")


def _with_sizes(corners: Sequence[Corners]) -> list[tuple[Corners, int]]:
    """Choose font sizes: half a character, but near the page's usual one, or a narrow し is illegible."""
    sides = [math.sqrt((right - left) * (bottom - top)) for left, top, right, bottom in corners]
    usual = statistics.median(sides) if sides else 0
    sizes = [max(8, round(0.55 * min(max(side, 0.75 * usual), 1.6 * usual))) for side in sides]
    return list(zip(corners, sizes, strict=True))


def _draw_label(pen: _Pen, label: str, place: Corners, size: int, colour: Colour) -> None:
    _, top, right, _ = place
    for number, glyph in enumerate(drawable(label) or MISSING):
        pen.write(glyph, (right + 2 * pen.width, top + number * size), size, colour, "lt")


def _with_legend(picture: Image.Image, *, has_mask: bool, say: Callable[[str], str]) -> Image.Image:
    """Add a strip below the page that says what the colours mean."""
    size = max(11, round(min(picture.width / 46, max(picture.size) / 80)))
    entries = [(_INK, say("how sure:"), False)]
    low = 0.0
    for below, colour in CONFIDENCE:
        entries.append((colour, f"{low:.1f}–{min(below, 1):.1f}", True))
        low = below
    entries.append((ORDER, say("reading order"), True))
    if has_mask:
        entries.append((_MASK, say("mask"), True))
    places, height = _flow([text for _, text, _ in entries], picture.width, size)
    whole = Image.new("RGB", (picture.width, picture.height + height), _PAPER)
    whole.paste(picture)
    canvas = ImageDraw.Draw(whole)
    for (colour, text, has_swatch), (x, y) in zip(entries, places, strict=True):
        top = picture.height + y
        if has_swatch:
            canvas.rectangle((x, top + size // 8, x + size, top + size), fill=colour)
        canvas.text((x + 1.4 * size * has_swatch, top), text, fill=_INK, font=font(size), anchor="lt")
    return whole


def _flow(texts: Sequence[str], width: int, size: int) -> tuple[list[tuple[int, int]], int]:
    """Place texts in rows of a width; also return the height of these."""
    places, x, y = [], size, size // 2
    for text in texts:
        length = round(font(size).getlength(text) + 3 * size)
        if x + length > width and x > size:
            x, y = size, y + round(1.6 * size)
        places.append((x, y))
        x += length
    return places, y + round(1.6 * size)
