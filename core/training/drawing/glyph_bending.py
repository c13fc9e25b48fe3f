"""This module bends the glyphs of a font, each time a little differently, and draws their ink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fumikura.core.training.drawing.fonts import GlyphFont, glyph_ink

# Ink below this is the soft edge of a stroke and lies outside the box.
EDGE_INK = 0.3


@dataclass(frozen=True, slots=True)
class Form:
    """A form is a glyph as signed distances to its outline, inside positive, in source pixels.

    Attributes:
        stroke: mean width of its strokes.
        height: of the ink without the padding around it.
        width: likewise.
    """

    distances: NDArray[np.float32]
    stroke: float
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Touch:
    """A touch says how one character is written: sizes relative to its form, angles in radians."""

    scale_y: float
    scale_x: float
    lean: float
    turn: float
    wobble: float
    phase: float


def make_form(font: GlyphFont, character: str, size: int) -> Form:
    """Make a form for a character at a font size in pixels."""
    ink = glyph_ink(font, character, size) > 127
    pad = max(2, size // 8)
    padded = np.pad(ink, pad)
    inside = ndimage.distance_transform_edt(padded)
    outside = ndimage.distance_transform_edt(~padded)
    edge = np.count_nonzero(np.diff(padded, axis=0)) + np.count_nonzero(np.diff(padded, axis=1))
    # A stroke has two sides; on a pixel grid its outline is 4/pi longer than it is.
    stroke = 2 * np.count_nonzero(ink) / max(1.0, edge * np.pi / 4)
    distances = np.where(padded, inside - 0.5, 0.5 - outside).astype(np.float32)
    return Form(distances, float(stroke), *ink.shape)


def write(form: Form, touch: Touch, *, scale: float, weight: float) -> NDArray[np.float32]:
    """Draw the ink of one written character in [0, 1], with some empty border around it.

    Args:
        scale: page pixels for one source pixel, before the touch.
        weight: stroke width that the hand aims at, in source pixels.
    """
    source_height, source_width = form.distances.shape
    height = max(3, round(source_height * touch.scale_y * scale))
    width = max(3, round(source_width * touch.scale_x * scale))
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    v, u = (v + 0.5) / height - 0.5, (u + 0.5) / width - 0.5
    bend = np.float32(touch.wobble * 0.03)
    y = v + touch.turn * u + bend * np.sin(5 * u + touch.phase)
    x = u - (touch.lean + touch.turn) * v + bend * np.sin(6 * v + 2 * touch.phase)
    where = np.stack([(y + 0.5) * source_height - 0.5, (x + 0.5) * source_width - 0.5])
    distances = ndimage.map_coordinates(form.distances, where, order=1, mode="nearest")
    # Both sides of a stroke move; the finest brush leaves a third of what the font has.
    thicker = float(np.clip(0.45 * (weight - form.stroke), -0.33 * form.stroke, 0.35 * form.stroke))
    press = 0.08 * weight * touch.wobble * np.sin(7 * (u + v) + 3 * touch.phase)
    zoom = scale * min(touch.scale_x, touch.scale_y)
    ink: NDArray[np.float32] = np.clip((distances + thicker + press) * zoom + 0.5, 0, 1)
    return ink


def ink_bounds(ink: NDArray[np.float32]) -> tuple[int, int, int, int] | None:
    """Find (top, left, bottom, right), the last two excluded, of what is truly inked; None if nothing is."""
    inked = ink > EDGE_INK
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    if rows.size == 0:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
