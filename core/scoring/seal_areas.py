"""This module finds owners' seals on a page by their red, and counts the boxes that lie on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fumikura.core.page import Box, PageImage

# In Pillow's HSV, where each of the three goes from 0 to 255. Chosen by eye on 34 pages with seals,
# strong and faded: with a hue of 14, brown paper counts as seal; with 9, faded seals are lost.
_HUE = 11
_SATURATION = 70
_VALUE = 90

#: Working pixels of one cell of the map that is closed, in each direction.
_CELL = 4
#: Share of a cell that is red where a stroke of a seal crosses it.
_COVER = 0.25
#: Cells across the gaps between a seal's strokes.
_GAP = 5
#: Cells across the smallest seal; vermilion marks beside the text are thinner.
_SMALLEST = 7

# Ink is darker than this share of the paper in the red channel, where seals nearly vanish.
_INK = 0.7
#: A box with less of its area in ink holds no stroke but the seal's.
_STROKE = 0.05


def count_in_seals(boxes: Sequence[Box], page: PageImage) -> tuple[int, int]:
    """Count the boxes that are centred in a seal, and those of them in which there is no black ink."""
    inside = [lies for lies in in_seals(boxes, page.pixels, scale=page.scale) if lies is not None]
    return len(inside), sum(inside)


def in_seals(
    boxes: Sequence[Box], pixels: NDArray[np.uint8], *, scale: float = 1.0, is_quick: bool = False
) -> list[bool | None]:
    """Tell of each box whether it holds nothing but a seal; None if it is not centred in one.

    Args:
        pixels: uint8 (H, W, 3) at working resolution.
        scale: of the pixels, for one pixel of the boxes.
        is_quick: look at every second pixel only, both ways; seals differ hardly.
    """
    if not boxes or not _has_red(pixels):
        return [None] * len(boxes)
    step = 2 if is_quick else 1
    pixels, scale = pixels[::step, ::step], scale / step
    red = pixels[..., 0]
    is_ink, seals = red < _INK * np.median(red), seal_area(pixels, cell=_CELL // step)
    height, width = seals.shape
    found: list[bool | None] = []
    for box in boxes:
        y, x = (int(place * scale) for place in box.centre)
        # A box of one pixel at the page's edge has its centre beyond it.
        is_centred = bool(seals[min(y, height - 1), min(x, width - 1)])
        found.append(bool(_window(is_ink, box, scale).mean() < _STROKE) if is_centred else None)
    return found


def _has_red(pixels: NDArray[np.uint8]) -> bool:
    """Tell at little cost whether there may be a seal: most pages have none."""
    return bool(_is_red(pixels[::_CELL, ::_CELL]).sum() >= _SMALLEST)


def _window(area: NDArray[np.bool_], box: Box, scale: float) -> NDArray[np.bool_]:
    top, left = int(box.y * scale), int(box.x * scale)
    bottom, right = int((box.y + box.height) * scale), int((box.x + box.width) * scale)
    return area[top : max(bottom, top + 1), left : max(right, left + 1)]


def seal_area(pixels: NDArray[np.uint8], *, cell: int = _CELL) -> NDArray[np.bool_]:
    """Find red seals by hue and saturation, their gaps closed, single strokes left out: bool (H, W).

    Args:
        pixels: uint8 (H, W, 3) at working resolution.
        cell: pixels along a side of a cell; fewer where the pixels are fewer.
    """
    is_red = _is_red(pixels)
    share = Image.fromarray(is_red).convert("L").reduce(cell)
    cells = share.point(lambda value: 255 * (value > 255 * _COVER))
    closed = cells.filter(ImageFilter.MaxFilter(_GAP)).filter(ImageFilter.MinFilter(_GAP))
    opened = closed.filter(ImageFilter.MinFilter(_SMALLEST)).filter(ImageFilter.MaxFilter(_SMALLEST))
    height, width = is_red.shape
    return np.asarray(opened.resize((width, height), Image.Resampling.NEAREST)) > 0


def _is_red(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    hsv = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("HSV"))
    hue = hsv[..., 0].astype(np.int16)
    is_red: NDArray[np.bool_] = (
        (np.minimum(hue, 256 - hue) <= _HUE) & (hsv[..., 1] >= _SATURATION) & (hsv[..., 2] >= _VALUE)
    )
    return is_red
