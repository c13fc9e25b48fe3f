"""This module finds notes in two halves (warichu) in columns, as `reading_order` has put them there.

Within a column one goes down, but from the end of a note's right half up again to the head of its left one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from fumikura.core.page import Character
from fumikura.core.recognition.order import MIN_NOTE

#: Main text, or the right and the left half of a note.
Stretch = tuple[Sequence[Character], ...]


def stretches(column: Sequence[Character]) -> Iterator[Stretch]:
    """Part a column into main text, (characters,), and notes, (right half, left half), from the top down."""
    start = 0
    for turn in range(1, len(column)):
        if turn <= start or not _goes_up(column[turn - 1], column[turn]):
            continue
        top = column[turn].box.y
        first = next(place for place in range(start, turn + 1) if column[place].box.centre[0] > top)
        end = _end_of_left_half(column, first, turn)
        if min(turn - first, end - turn) < MIN_NOTE:
            continue
        if first > start:
            yield (column[start:first],)
        yield column[first:turn], column[turn:end]
        start = end
    if start < len(column):
        yield (column[start:],)


def _goes_up(one: Character, following: Character) -> bool:
    return following.box.y + following.box.height <= one.box.y + one.box.height / 2


def _end_of_left_half(column: Sequence[Character], first: int, turn: int) -> int:
    """Find where the column goes on below a note: nearer to the middle of both than to the left."""
    right, lowest = column[first:turn], max(one.box.y + one.box.height for one in column[first:turn])
    left = [one for one in column[turn:] if one.box.centre[0] <= lowest]
    side = median(one.box.centre[1] for one in left) if left else column[turn].box.centre[1]
    axis = (side + median(one.box.centre[1] for one in right)) / 2
    for place in range(turn, len(column)):
        y, x = column[place].box.centre
        if y > lowest and abs(x - axis) < abs(x - side):
            return place
    return len(column)
