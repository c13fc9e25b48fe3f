"""This module says what a page holds once people have put it right: readings come and go, corrections stay.

A correction is tied to a place on the page and not to a row of a reading. So each new reading of the page,
by whatever weights, gets the corrections of all earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from fumikura.core.page import Box, Character, Role

#: The number of a column that was none before; all are counted anew in the end.
_OWN_COLUMN = -1
#: Boxes that overlap less (intersection over union) are two characters.
_SAME_PLACE = 0.25


class Kind(StrEnum):
    """A kind says what a person did; its value is what people are told."""

    LABEL = "label"
    MOVE = "move"
    ADD = "add"
    DELETE = "delete"
    JOIN = "join"
    SPLIT = "split"
    ORDER = "order"
    ROLE = "role"
    CONFIRM = "confirm"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction says what stands at a place of a page, and what stood there before.

    Attributes:
        old: the box that stood there; None where a character was missing.
        old_label: what stood in it.
        new: the box that is right; None where there is no character. Of Kind.PAGE both are None: it says
            that all that the page holds has been looked at, and what later readings see elsewhere is nothing.
        label: what stands there.
        role: what the character belongs to; None leaves that as it was read.
        after: the box after which it is read, where that was said.
    """

    kind: Kind
    old: Box | None = None
    old_label: str | None = None
    new: Box | None = None
    label: str | None = None
    role: str | None = None
    after: Box | None = None


def corrected(read: Sequence[Character], corrections: Iterable[Correction]) -> tuple[Character, ...]:
    """Put characters right; those that people named have confidence 1, and no next-best labels.

    Args:
        read: in reading order, as the weights read them.
        corrections: in the order in which they were made, without those undone.
    """
    characters, by_people, is_complete = list(read), set[Box](), False
    for correction in corrections:
        if correction.kind == Kind.PAGE:
            is_complete = True
            continue
        _put_right(characters, correction, by_people)
    if is_complete:
        characters = [one for one in characters if one.box in by_people]
    return tuple(_with_bases_found(read, list(_with_columns_counted(characters))))


def named_by_people(corrections: Iterable[Correction]) -> dict[Box, str]:
    """Give the boxes that people put right or confirmed, with their labels, in the order of reading."""
    return {one.box: one.label for one in corrected((), corrections)}


def _put_right(characters: list[Character], correction: Correction, by_people: set[Box]) -> None:
    place, is_exact = None, True
    if correction.old is not None:
        place, is_exact = _find(characters, correction.old)
    before = characters.pop(place) if place is not None else None
    if before is not None:
        by_people.discard(before.box)
    if correction.new is None:
        return
    if not is_exact:  # another reading, which may have cut the same ink into several characters
        gone = [one for one in characters if one.box not in by_people and _is_in(one.box, correction.new)]
        for one in gone:
            characters.remove(one)
    label = correction.label or (before.label if before is not None else "")
    made = Character(correction.new, label, 1.0)
    if correction.after is not None or place is None:
        place, beside = _place_after(characters, correction)
        # The leaf, and whatever else tells of the place, are those of the character beside it.
        made = made if beside is None else replace(beside, box=correction.new, label=label)
    elif before is not None:
        made = replace(before, box=correction.new, label=label)
    characters.insert(min(place, len(characters)), _of_people(made, correction))
    by_people.add(correction.new)


def _of_people(character: Character, correction: Correction) -> Character:
    role = Role(correction.role) if correction.role else character.role
    return replace(character, confidence=1.0, alternatives=(), role=role)


def _find(characters: Sequence[Character], box: Box) -> tuple[int | None, bool]:
    """Find the character of a box, and tell whether it has the very same one."""
    for place, one in enumerate(characters):
        if one.box == box:
            return place, True
    shares = [overlap(one.box, box) for one in characters]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return (best if best is not None and shares[best] >= _SAME_PLACE else None), False


def _place_after(characters: Sequence[Character], correction: Correction) -> tuple[int, Character | None]:
    """Choose where a character is read, and that beside which it stands in its column.

    As was said, or else by where it stands. In a column of its own, the other has that column's number.
    """
    assert correction.new is not None
    if correction.after is not None:
        place, _ = _find(characters, correction.after)
        if place is not None:
            return place + 1, characters[place]
    y, x = correction.new.centre
    above: int | None = None
    for place, one in enumerate(characters):
        if not one.box.x <= x < one.box.x + one.box.width:
            continue
        if one.box.centre[0] > y:
            return place, one
        above = place
    if above is not None:
        return above + 1, characters[above]
    for place, one in enumerate(characters):  # a column of its own, before the first that stands left of it
        if one.box.centre[1] < x:
            return place, replace(one, column_number=_OWN_COLUMN)
    if not characters:
        return 0, None
    return len(characters), replace(characters[-1], column_number=_OWN_COLUMN)


def overlap(one: Box, other: Box) -> float:
    """Compute intersection over union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (one.width * one.height + other.width * other.height - common)


def _is_in(box: Box, around: Box) -> bool:
    y, x = box.centre
    return around.x <= x < around.x + around.width and around.y <= y < around.y + around.height


def _with_bases_found(read: Sequence[Character], characters: Sequence[Character]) -> Iterator[Character]:
    """Let furigana point to where the character that they belong to stands now."""
    place_of = {one.box: place for place, one in enumerate(characters)}
    for one in characters:
        if one.base is None:
            yield one
        else:
            base = read[one.base].box if one.base < len(read) else None
            yield replace(one, base=place_of.get(base) if base is not None else None)


def _with_columns_counted(characters: Iterable[Character]) -> Iterator[Character]:
    """Count the columns from 0 as they are read: one may have been emptied, or taken apart."""
    last: int | None = None
    number = -1
    for one in characters:
        if one.column_number != last:
            last, number = one.column_number, number + 1
        yield one if one.column_number == number else replace(one, column_number=number)
