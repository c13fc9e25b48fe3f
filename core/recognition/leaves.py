"""This module finds the material on a photograph, and the gutter between two leaves, on a thumbnail.

Material is what differs from the ground that the photograph's border shows; rulers, labels and the bars of
a cradle are thinner than it. A gutter is a line, dark or bright, from one edge to the other near the middle;
lines of frames and columns of text do not reach the edges, and stand elsewhere too.

The thresholds were chosen on the openings of one book and seen to hold on those of another, on 88 single
scans, of which none may be cut, and on such scans put side by side (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fumikura.core.page import Box

Floats = NDArray[np.float32]

#: Pixels along the long side of the thumbnail, at least; cells of it are measured here.
_THUMBNAIL = 240
#: Cells of the photograph's border.
_BORDER = 3
#: Difference of colour within the ground.
_NEAR = 22.0
#: Of the border that is ground; of the photograph that is material; of material that is no ground; and of
#: the rest that is ground: where one of these does not hold, the photograph is material all over.
_LEAST_GROUND = 0.7
_MATERIAL = (0.15, 0.85)
_LEAST_INSIDE = 0.9
_LEAST_OUTSIDE = 0.75

#: Width over height of two leaves, and of what may be so only if the gutter is seen.
OPENING = (1.05, 2.2)
_BANDS = 8
_WIDTH = 360
_AROUND = 12
_STRONGEST = 40.0
#: Steps to the side from band to band: a gutter is curved, or the photograph skewed.
_STEP = 4
_MIDDLE = (0.4, 0.6)
_LEAST_DEPTH = 10.0
_LEAST_LEAD = 1.25
_LEAST_AT_ENDS = 0.3


def find_material(pixels: NDArray[np.uint8]) -> Box | None:
    """Find the box of the material in pixels of a photograph (H, W, 3); None if it fills it, or may do so."""
    image = Image.fromarray(pixels)
    cell = max(1, max(image.size) // _THUMBNAIL)
    is_other, share = _unlike_ground(_colours(image.reduce(cell)))
    if share < _LEAST_GROUND:
        return None
    body = _without_thin(is_other, max(is_other.shape) // 40)
    if not body.any():
        return None
    left, right = _longest(body.sum(axis=0))
    top, bottom = _longest(body[:, left:right].sum(axis=1))
    left, right = _longest(body[top:bottom].sum(axis=0))
    area = (bottom - top) * (right - left)
    inside = float(is_other[top:bottom, left:right].mean())
    n_beside = float(is_other.sum()) - inside * area
    if (
        not _MATERIAL[0] <= area / is_other.size <= _MATERIAL[1]
        or inside < _LEAST_INSIDE
        or 1 - n_beside / (is_other.size - area) < _LEAST_OUTSIDE
    ):
        return None
    # A cell more on each side: edges lie somewhere in a cell.
    x, y = max(0, (left - 1) * cell), max(0, (top - 1) * cell)
    return Box(x, y, min(image.width, (right + 1) * cell) - x, min(image.height, (bottom + 1) * cell) - y)


def _colours(thumbnail: Image.Image) -> Floats:
    """Describe each pixel by lightness, which shadows change, and twice by colour: (H, W, 3)."""
    red, green, blue = np.moveaxis(np.asarray(thumbnail, np.float32), 2, 0)
    colours: Floats = np.stack(
        [0.7 * (red + green + blue) / 3, 1.5 * (red - blue), 1.5 * (red - green)], axis=2
    )
    return colours


def _unlike_ground(colours: Floats) -> tuple[NDArray[np.bool_], float]:
    """Find what is no ground, bool (H, W), and the share of the border that is ground."""
    rim = [
        side.reshape(-1, 3)
        for side in (colours[:_BORDER], colours[-_BORDER:], colours[:, :_BORDER], colours[:, -_BORDER:])
    ]
    found = [_commonest(side) for side in rim]
    main = max(found, key=lambda one: one[1])[0]
    # The ground is lit unevenly: at each side it may have its own lightness.
    grounds = [
        colour
        for colour, _ in found
        if np.abs(colour - main)[1:].max() < _NEAR and abs(colour - main)[0] < 3 * _NEAR
    ]
    is_other = np.min([np.abs(colours - ground).max(axis=2) for ground in grounds], axis=0) > _NEAR
    border = np.concatenate(
        [
            side.ravel()
            for side in (
                is_other[:_BORDER],
                is_other[-_BORDER:],
                is_other[:, :_BORDER],
                is_other[:, -_BORDER:],
            )
        ]
    )
    return is_other, 1 - float(border.mean())


def _commonest(colours: Floats) -> tuple[Floats, float]:
    """Return the commonest of some colours (N, 3), and the share of those near to it."""
    numbers = ((colours + 400) // 12).astype(np.int64) @ np.array([1, 100, 10_000])
    values, counts = np.unique(numbers, return_counts=True)
    guess = np.median(colours[numbers == values[counts.argmax()]], axis=0)
    is_near = np.abs(colours - guess).max(axis=1) < _NEAR
    return np.median(colours[is_near], axis=0), float(is_near.mean())


def _without_thin(area: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Take away all that is thinner than twice the reach; what remains keeps its outline."""
    room = reach + 1
    padded = np.pad(_blurred(area, 1) > 127, room)
    eroded = _blurred(padded, reach) >= 254
    return (_blurred(eroded, reach) > 0)[room:-room, room:-room]


def _blurred(area: NDArray[np.bool_], reach: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(area.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(reach)))


def _longest(counts: NDArray[np.int_]) -> tuple[int, int]:
    """Find begin and end of the longest run of counts that are no small part of the highest."""
    is_high = np.concatenate([[False], counts > 0.3 * counts.max(), [False]])
    edges = np.flatnonzero(np.diff(is_high.astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    longest = int((ends - begins).argmax())
    return int(begins[longest]), int(ends[longest])


def find_gutter(pixels: NDArray[np.uint8], *, must_be: bool = False) -> tuple[tuple[float, float], ...]:
    """Find the gutter of the material (H, W, 3): points (x, y) from top to bottom, in shares of its sides.

    Args:
        must_be: there are two leaves, also where no gutter is seen.

    Returns:
        no points where there is one leaf.
    """
    deviations = _deviations(pixels)
    middle = round(_MIDDLE[0] * _WIDTH), round(_MIDDLE[1] * _WIDTH)
    sides = (_AROUND, middle[0] - 8), (middle[1] + 8, _WIDTH - _AROUND)
    seen = [(*_path(sign * deviations, *middle), sign) for sign in (-1.0, 1.0)]
    depth, path, sign = max(seen, key=lambda one: one[0])
    elsewhere = max(_path(sign * deviations, *side)[0] for side in sides)
    ends = min(sign * float(deviations[band, path[band]]) for band in (0, -1))
    is_seen = depth >= max(_LEAST_DEPTH, _LEAST_LEAD * elsewhere) and ends >= _LEAST_AT_ENDS * depth
    if not is_seen and not must_be:
        return ()
    if not is_seen and depth < _LEAST_DEPTH:
        path = [_WIDTH // 2] * _BANDS
    heights = [0.0, *((band + 0.5) / _BANDS for band in range(1, _BANDS - 1)), 1.0]
    return tuple((x / _WIDTH, y) for x, y in zip(path, heights, strict=True))


def _deviations(pixels: NDArray[np.uint8]) -> Floats:
    """Tell by how much the paper of each column differs from that around it, band by band: (bands, W)."""
    image = Image.fromarray(pixels).convert("L")
    height = max(4 * _BANDS, round(image.height * _WIDTH / image.width))
    grey = np.asarray(image.resize((_WIDTH, height), Image.Resampling.BOX, reducing_gap=2.0), np.float32)
    # Ink covers less than half of a column of text: the third quartile is its paper.
    paper = np.stack([np.percentile(band, 75, axis=0) for band in np.array_split(grey, _BANDS)])
    padded = np.pad(paper, ((0, 0), (_AROUND, _AROUND)), mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1, axis=1), axis=2)
    deviations: Floats = np.clip(paper - around, -_STRONGEST, _STRONGEST).astype(np.float32)
    return deviations


def _path(strength: Floats, first: int, last: int) -> tuple[float, list[int]]:
    """Find the strongest way from the top band to the bottom one: its mean strength, and x in each band."""
    best, came_from = strength[0, first:last], []
    for band in strength[1:, first:last]:
        padded = np.pad(best, _STEP, constant_values=-np.inf)
        choices = np.lib.stride_tricks.sliding_window_view(padded, 2 * _STEP + 1)
        came_from.append(np.arange(len(best)) + choices.argmax(axis=1) - _STEP)
        best = choices.max(axis=1) + band
    path = [int(best.argmax())]
    for step in reversed(came_from):
        path.append(int(step[path[-1]]))
    return float(best.max()) / len(strength), [first + x for x in reversed(path)]


def leaf_outlines(
    material: Box, gutter: Sequence[tuple[int, int]]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Give the corners (x, y) of each leaf, the right one first; one leaf where there is no gutter."""
    left, top = material.x, material.y
    right, bottom = left + material.width, top + material.height
    if not gutter:
        return (((left, top), (right, top), (right, bottom), (left, bottom)),)
    return (
        ((gutter[0][0], top), (right, top), (right, bottom), *reversed(gutter[1:])),
        ((left, top), *gutter, (left, bottom)),
    )
