"""This module finds the ink of a page, and draws boxes as far as the ink that they hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Ink is so much darker than what lies around it (0 to 255).
_DARKER = 18
_AROUND = 61
#: How far a box's sides may move outwards: shares of its width and of its height. Columns lie apart,
#: but strokes run on from one character into the next.
REACH = (0.15, 0.1)
#: Ink of fewer pixels is a speck.
_SPECK = 4
_EIGHT_NEIGHBOURS = np.ones((3, 3))


def ink_of(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the dark strokes of a page (H, W, 3), as bool (H, W)."""
    brightness = pixels.mean(axis=2)
    return np.asarray(brightness < ndimage.uniform_filter(brightness, size=_AROUND) - _DARKER)


def drawn_to_ink(boxes: NDArray[np.float32], ink: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Draw boxes (M, 4), x, y, width, height, as wide and high as the ink that is mostly their own.

    A stroke of which more than half lies in the box belongs to it whole; one that does not, to a neighbour.
    """
    drawn = boxes.copy()
    for axis in (0, 1):
        for box in drawn:
            _draw(box, ink, axis)
    return drawn


def _draw(box: NDArray[np.float32], ink: NDArray[np.bool_], axis: int) -> None:
    """Move the left and right sides (axis 0) or the top and bottom (1) of a box (4,), in place."""
    first = np.maximum(box[:2].round().astype(int), 0)
    last = (box[:2] + box[2:]).round().astype(int)
    reach = round(REACH[axis] * float(box[2 + axis]))
    begin = max(0, int(first[axis]) - reach)
    # Along the axis the window goes beyond the box, across it not.
    along, across = slice(begin, int(last[axis]) + reach), slice(int(first[1 - axis]), int(last[1 - axis]))
    window = ink[across, along] if axis == 0 else ink[along, across].T  # (across, along)
    strokes, n_strokes = ndimage.label(window, _EIGHT_NEIGHBOURS)
    inside = strokes[:, int(first[axis]) - begin : int(last[axis]) - begin]
    n_pixels = np.bincount(strokes.ravel(), minlength=n_strokes + 1)
    is_own = (2 * np.bincount(inside.ravel(), minlength=n_strokes + 1) > n_pixels) & (n_pixels >= _SPECK)
    is_own[0] = False  # paper
    [held] = np.nonzero(is_own[strokes].any(axis=0))
    if len(held):
        box[axis] = begin + held[0]
        box[2 + axis] = held[-1] + 1 - held[0]
