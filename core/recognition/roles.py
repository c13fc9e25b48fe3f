"""This module tells what each character of a leaf belongs to, and puts all of them in reading order.

Main text comes first, register by register; then the furigana, then what stands in the margin. So the labels
of main text follow each other, whatever stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fumikura.core.page import Box, Role
from fumikura.core.recognition.order import columns_of

Floats = NDArray[np.float64]

#: Furigana are at most so large, in medians of their leaf, and stand so near to what they belong to.
_SMALL_WIDTH, _SMALL_HEIGHT = 0.62, 0.62
_BESIDE = 0.75
#: What is nearer than this to the middle of a larger one above or below, in median widths, is of its column.
_IN_COLUMN = 0.45
#: Empty height between registers, in median heights, and how many neighbours must share it.
_LEAST_GAP, _LEAST_COLUMNS = 1.2, 3
#: A column in the margin is nearer to the leaf's edge than this share of its width, and away from the next
#: column by so many median widths.
_EDGE, _AWAY = 0.05, 1.6


@dataclass(frozen=True, slots=True)
class Place:
    """This is where a character stands in the reading of its leaf.

    Attributes:
        index: of its box.
        column: its number on the leaf.
        role: what it belongs to.
        base: index of the box that furigana belong to; None for everything else.
    """

    index: int
    column: int
    role: Role = Role.MAIN
    base: int | None = None


def arrange(boxes: Sequence[Box], *, left: float, right: float) -> list[Place]:
    """Put the boxes of a leaf in reading order, each with its role.

    Args:
        left: edge of the leaf, in pixels of the boxes.
        right: likewise.
    """
    if not boxes:
        return []
    array = np.array([(box.x, box.y, box.width, box.height) for box in boxes], dtype=float)
    bases = _furigana(array)
    main = [index for index in range(len(boxes)) if index not in bases]
    columns, notes = columns_of([boxes[index] for index in main])
    columns = [[main[index] for index in column] for column in columns]
    margin = _in_margin(columns, array, left, right)
    text = by_registers([column for number, column in enumerate(columns) if number not in margin], array)
    of_notes = {main[index] for index in notes}
    places = [
        Place(index, number, Role.NOTE if index in of_notes else Role.MAIN)
        for number, column in enumerate(text)
        for index in column
    ]
    own = sorted(bases)
    beside, _ = columns_of([boxes[index] for index in own])
    aside = [([own[index] for index in column], Role.FURIGANA) for column in beside]
    aside += [(columns[number], Role.MARGIN) for number in sorted(margin)]
    for number, (column, role) in enumerate(aside, start=len(text)):
        places += [Place(index, number, role, bases.get(index)) for index in column]
    return places


def _furigana(array: Floats) -> dict[int, int]:
    """Find small characters that stand to the right of a larger one: the index of each, and of the larger."""
    x, y, width, height = array.T
    median_width, median_height = float(np.median(width)), float(np.median(height))
    is_small = (width <= _SMALL_WIDTH * median_width) & (height <= _SMALL_HEIGHT * median_height)
    large = np.flatnonzero(~is_small)
    found: dict[int, int] = {}
    for index in np.flatnonzero(is_small):
        middle_x, middle_y = x[index] + width[index] / 2, y[index] + height[index] / 2
        shift = np.abs(x[large] + width[large] / 2 - middle_x)
        away = np.maximum(y[large] - middle_y, middle_y - y[large] - height[large])
        # Small kana of main text have larger ones above or below them in their own column.
        if (is_in_column := (shift < _IN_COLUMN * median_width) & (away < 2 * median_height)).any():
            continue
        # The right half of a note stands right of its left half, and that is small too.
        partner = is_small & (np.abs(y + height / 2 - middle_y) < height[index])
        partner &= (np.abs(x - x[index]) < 1.6 * width[index]) & (np.arange(len(x)) != index)
        if partner.any():
            continue
        gap = x[index] - (x[large] + width[large])
        beside = (gap > -0.3 * median_width) & (gap < _BESIDE * median_width) & (away < 0.3 * median_height)
        if (beside & ~is_in_column).any():
            nearest = np.where(beside, gap + np.maximum(away, 0), np.inf).argmin()
            found[int(index)] = int(large[nearest])
    return found


def _in_margin(columns: Sequence[Sequence[int]], array: Floats, left: float, right: float) -> set[int]:
    """Find the columns at the very edge of the leaf and away from all others, such as a title at the fold."""
    if len(columns) <= _LEAST_COLUMNS:
        return set()
    near = _EDGE * (right - left)
    away = _AWAY * float(np.median(array[:, 2]))
    begins = [float(array[column, 0].min()) for column in columns]
    ends = [float((array[column, 0] + array[column, 2]).max()) for column in columns]
    found = set()
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        others_begin = min(other for place, other in enumerate(begins) if place != number)
        others_end = max(other for place, other in enumerate(ends) if place != number)
        if (begin - left < near and others_begin - end > away) or (
            right - end < near and begin - others_end > away
        ):
            found.add(number)
    return found


def by_registers(columns: Sequence[Sequence[int]], array: Floats) -> list[list[int]]:
    """Cut columns, the rightmost first, where neighbours leave the same height empty.

    Returns:
        columns register by register: of neighbours that are cut first the upper parts, then the lower ones.
    """
    least = _LEAST_GAP * float(np.median(array[:, 3])) if len(array) else 0.0
    arranged: list[list[int]] = []
    first = 0
    while first < len(columns):
        found = _longest_run(columns[first:], array, least)
        if found is None:
            arranged.append(list(columns[first]))
            first += 1
            continue
        n_columns, y = found
        run = columns[first : first + n_columns]
        middle = array[:, 1] + array[:, 3] / 2
        upper = [[index for index in column if middle[index] < y] for column in run]
        lower = [[index for index in column if middle[index] >= y] for column in run]
        # Each part may have registers of its own.
        for part in (upper, lower):
            arranged += by_registers([column for column in part if column], array)
        first += n_columns
    return arranged


def _longest_run(columns: Sequence[Sequence[int]], array: Floats, least: float) -> tuple[int, float] | None:
    """Find how many columns from the first on share an empty height, and its middle; None if too few do."""
    best = None
    spans: list[tuple[float, float]] = []
    for n_columns, column in enumerate(columns, start=1):
        spans = _united([*spans, *((array[index, 1], array[index, 1] + array[index, 3]) for index in column)])
        gaps = [
            (below[0] - above[1], (above[1] + below[0]) / 2)
            for above, below in pairwise(spans)
            if below[0] - above[1] >= least
        ]
        if not gaps and n_columns > _LEAST_COLUMNS:
            break
        for _, y in sorted(gaps, reverse=True):
            n_above = sum(array[one, 1].min() < y for one in columns[:n_columns])
            n_below = sum((array[one, 1] + array[one, 3]).max() > y for one in columns[:n_columns])
            if min(n_above, n_below) >= _LEAST_COLUMNS:
                best = n_columns, float(y)
                break
    return best


def _united(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    united: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((begin, end))
    return united
