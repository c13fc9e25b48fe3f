"""Columns and reading order: columns from right to left, each from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.page import Box

#: A successor may stand at most so many median heights below.
MAX_GAP = 4.0
#: Centres of neighbours in a column differ at most by so many median widths.
MAX_SHIFT = 0.7
#: Pieces of a column whose middles differ by at most so many median widths are one column.
MAX_COLUMN_SHIFT = 0.6


def reading_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """(index of the box, number of its column) in reading order.

    Columns waver, so no straight line parts them: each character is linked with the nearest one
    below it if the two choose each other, and the chains that come of it are put together.
    """
    if not boxes:
        return []
    array = np.array([(box.x, box.y, box.width, box.height) for box in boxes], dtype=float)
    columns = _join_chains(_chains(_successors(array), n_boxes=len(boxes)), array)
    columns.sort(key=lambda column: -float(_middles(array)[column].mean()))
    return [(index, number) for number, column in enumerate(columns) for index in column]


def _middles(array: NDArray[np.float64]) -> NDArray[np.float64]:
    middles: NDArray[np.float64] = array[:, 0] + array[:, 2] / 2
    return middles


def _successors(array: NDArray[np.float64]) -> dict[int, int]:
    """Each box with the box below that chose it as its predecessor."""
    median_width, median_height = np.median(array[:, 2]), np.median(array[:, 3])
    middle, centre_y = _middles(array), array[:, 1] + array[:, 3] / 2
    down = centre_y[None, :] - centre_y[:, None]  # (M, M): from row to column
    shift = np.abs(middle[None, :] - middle[:, None])
    # A step aside costs more than a step down: the next column is near, but is not next.
    cost = down + 2 * shift
    cost[(down <= 0) | (down > MAX_GAP * median_height) | (shift > MAX_SHIFT * median_width)] = np.inf
    best_below, best_above = cost.argmin(axis=1), cost.argmin(axis=0)
    return {
        above: int(below)
        for above, below in enumerate(best_below)
        if np.isfinite(cost[above, below]) and best_above[below] == above
    }


def _chains(successors: dict[int, int], *, n_boxes: int) -> list[list[int]]:
    """The boxes in runs of successors; every box is in one run."""
    has_predecessor = set(successors.values())
    chains = []
    for first in range(n_boxes):
        if first in has_predecessor:
            continue
        chain = [first]
        while chain[-1] in successors:
            chain.append(successors[chain[-1]])
        chains.append(chain)
    return chains


def _join_chains(chains: list[list[int]], array: NDArray[np.float64]) -> list[list[int]]:
    """Put chains that stand above each other into one column, from the top down."""
    median_width = float(np.median(array[:, 2]))
    middle, top, bottom = _middles(array), array[:, 1], array[:, 1] + array[:, 3]
    columns: list[list[int]] = []
    for chain in sorted(chains, key=lambda chain: float(top[chain[0]])):
        above = [
            (shift, column)
            for column in columns
            if (shift := abs(float(middle[column].mean() - middle[chain].mean())))
            <= MAX_COLUMN_SHIFT * median_width
            and bottom[column[-1]] <= top[chain[0]] + 0.5 * (bottom - top)[chain[0]]
        ]
        if above:
            min(above, key=lambda pair: pair[0])[1].extend(chain)
        else:
            columns.append(list(chain))
    return columns
