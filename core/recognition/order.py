"""This module finds columns and reading order: columns from right to left, each from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fumikura.core.page import Box

#: A successor may stand at most so many median heights below.
MAX_GAP = 4.0
#: Centres of neighbours in a column differ at most by so many median widths.
MAX_SHIFT = 0.7
#: Pieces of a column whose middles differ by at most so many median widths are one column.
MAX_COLUMN_SHIFT = 0.6
#: Columns whose middles are nearer than so many median widths are no columns: two halves of a note
#: (warichu), or a character that was forgotten and stands beside its column.
MIN_PITCH = 1.2
#: Characters of a note are at most so many median widths wide.
MAX_NOTE_WIDTH = 0.85
#: A half of a note has at least so many characters.
MIN_NOTE = 2


def columns_of(boxes: Sequence[Box]) -> tuple[list[list[int]], set[int]]:
    """Find the columns, indexes of boxes from top to bottom, the rightmost first; and what is of notes.

    Columns waver, so no straight line parts them: each character is linked with the nearest one
    below it if the two choose each other, and the chains that come of it are put together.

    Returns:
        the columns, and the indexes of all boxes that stand in halves of notes (warichu).
    """
    if not boxes:
        return [], set()
    array = np.array([(box.x, box.y, box.width, box.height) for box in boxes], dtype=float)
    columns = _join_chains(_chains(_successors(array), n_boxes=len(boxes)), array)
    columns, notes = _join_notes(_join_lone(columns, array), array)
    columns.sort(key=lambda column: -float(_middles(array)[column].mean()))
    return columns, notes


def reading_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Return (index of the box, number of its column) in reading order."""
    columns, _ = columns_of(boxes)
    return [(index, number) for number, column in enumerate(columns) for index in column]


def _middles(array: NDArray[np.float64]) -> NDArray[np.float64]:
    middles: NDArray[np.float64] = array[:, 0] + array[:, 2] / 2
    return middles


def _successors(array: NDArray[np.float64]) -> dict[int, int]:
    """Pair each box with the box below that chose it as its predecessor."""
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
    """Put the boxes into runs of successors; every box is in one run."""
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


def _join_lone(columns: list[list[int]], array: NDArray[np.float64]) -> list[list[int]]:
    """Put characters that stand alone beside a column into it, behind the one that they begin below."""
    near = MIN_PITCH * float(np.median(array[:, 2]))
    middle, top = _middles(array), array[:, 1]
    long = [column for column in columns if len(column) > 1]
    kept = []
    for (lone,) in (column for column in columns if len(column) == 1):
        beside = [
            (abs(float(middle[column[place]] - middle[lone])), column, place)
            for column in long
            if top[column[0]] < top[lone] < top[column[-1]]
            for place in [int(np.searchsorted(top[column], top[lone])) - 1]
        ]
        distance, column, place = min(beside, key=lambda one: one[0], default=(np.inf, [], 0))
        if distance < near:
            column.insert(place + 1, lone)
        else:
            kept.append([lone])
    return long + kept


def _join_notes(columns: list[list[int]], array: NDArray[np.float64]) -> tuple[list[list[int]], set[int]]:
    """Put the two halves of a note, right before left, into the column that it interrupts."""
    notes: set[int] = set()
    joined = sorted(columns, key=lambda column: -float(_middles(array)[column].mean()))
    place = 0
    while place + 1 < len(joined):
        whole = _with_note(joined[place], joined[place + 1], array)
        if whole is None:
            place += 1
        else:
            column, halves = whole
            joined[place : place + 2] = [column]
            notes.update(halves)
    return joined, notes


def _with_note(
    one: list[int], other: list[int], array: NDArray[np.float64]
) -> tuple[list[int], list[int]] | None:
    """Join two neighbours: above the note, its halves, below it; None if they hold no note.

    Returns:
        the column, and what of it stands in the halves.
    """
    middle, centre = _middles(array), array[:, 1] + array[:, 3] / 2
    start = max(array[one[0], 1], array[other[0], 1])
    runs = [[index for index in column if centre[index] > start] for column in (one, other)]
    end = min((max(array[run, 1] + array[run, 3]) for run in runs if run), default=start)
    # Where the two stand side by side they are halves; beyond, the longer half or the column goes on.
    halves = [[index for index in run if centre[index] <= end] for run in runs]
    if min(map(len, halves)) < MIN_NOTE or not _are_halves(halves[0], halves[1], array):
        return None
    sides = [float(np.median(middle[half])) for half in halves]
    axis = sum(sides) / 2
    below = [
        index
        for run, side in zip(runs, sides, strict=True)
        for index in run
        if centre[index] > end and abs(middle[index] - axis) < abs(middle[index] - side)
    ]
    above = [index for index in (*one, *other) if centre[index] <= start]
    right, left = runs if sides[0] > sides[1] else runs[::-1]
    note = [index for index in (*right, *left) if index not in below]
    return [*above, *note, *below], note


def _are_halves(one: list[int], other: list[int], array: NDArray[np.float64]) -> bool:
    """Tell whether both runs are narrow and nearer to each other than columns are."""
    width = float(np.median(array[:, 2]))
    middles, widths = (
        [float(np.median(values[run])) for run in (one, other)] for values in (_middles(array), array[:, 2])
    )
    return max(widths) < MAX_NOTE_WIDTH * width and abs(middles[0] - middles[1]) < MIN_PITCH * width
