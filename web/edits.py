"""Take in what is corrected in the browser, as corrections of the store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from fumikura.core.corrections import Correction, Kind
from fumikura.core.page import Box, Character, Role
from fumikura.core.store.corrections import correct, undo
from fumikura.core.store.lookup import PageDetails, get_page
from fumikura.core.vocabulary import clean_text
from fumikura.web.page_model import page_as_dict
from fumikura.web.room import Room
from fumikura.web.rooms import PageId, the_room

router = APIRouter(prefix="/api", tags=["corrections"])
TheRoom = Annotated[Room, Depends(the_room)]
_Whole = Annotated[int, Field(ge=0, le=1_000_000)]
_Numbers = tuple[_Whole, _Whole, _Whole, _Whole]


class Edit(BaseModel):
    """This is what a person did to some boxes of a page, each x, y, width, height.

    `boxes` are those that stand there now. `labels` are the labels that are right: one, or for a split as
    many as the box is cut into. `box` is the new place of a box, `after` that behind which it is read.
    """

    kind: Kind
    boxes: list[_Numbers] = Field(default=[], max_length=5000)
    labels: list[Annotated[str, Field(max_length=16)]] = Field(default=[], max_length=10)
    box: _Numbers | None = None
    after: _Numbers | None = None
    role: Annotated[str, Field(max_length=20)] | None = None


@router.post("/pages/{page_id}/corrections")
def add(page_id: PageId, edit: Edit, room: TheRoom) -> dict[str, Any]:
    """Put something right on a page, and give the page as it is then."""
    assert room.editing is not None
    assert room.writing is not None
    page = get_page(room.engine, page_id)
    corrections = _corrections(edit, page)
    correct(room.writing, page_id, corrections, who=room.editing.who)
    return page_as_dict(room.engine, get_page(room.engine, page_id))


@router.delete("/pages/{page_id}/corrections/last")
def take_back(page_id: PageId, room: TheRoom) -> dict[str, Any]:
    """Undo what was last put right on a page, and give the page as it is then."""
    assert room.writing is not None
    if undo(room.writing, page_id) is None:
        raise HTTPException(409, "nothing was put right on this page")
    return page_as_dict(room.engine, get_page(room.engine, page_id))


def _corrections(edit: Edit, page: PageDetails) -> list[Correction]:
    stands = {one.box: one for one in page.characters}
    chosen = [stands.get(_box(numbers)) for numbers in edit.boxes]
    if None in chosen:
        raise HTTPException(409, "something else stands there now; load the page again")
    characters = [one for one in chosen if one is not None]
    labels = [clean_text(label) for label in edit.labels]
    if any(len(label) != 1 for label in labels):
        raise HTTPException(422, "a label is one character, and no mark or space")
    try:
        return _MAKERS[edit.kind](edit, characters, labels, page)
    except (IndexError, TypeError, ValueError) as error:
        raise HTTPException(422, f"this is too little, or too much, to {edit.kind}") from error


def _label(edit: Edit, characters: list[Character], labels: list[str], _: PageDetails) -> list[Correction]:
    (one,), (label,) = characters, labels
    return [Correction(edit.kind, old=one.box, old_label=one.label, new=one.box, label=label)]


def _move(edit: Edit, characters: list[Character], _labels: list[str], page: PageDetails) -> list[Correction]:
    (one,) = characters
    new = _new_box(edit, page)
    return [Correction(edit.kind, old=one.box, old_label=one.label, new=new, label=one.label)]


def _add(edit: Edit, _: list[Character], labels: list[str], page: PageDetails) -> list[Correction]:
    (label,) = labels
    return [Correction(edit.kind, new=_new_box(edit, page), label=label, after=_after(edit))]


def _delete(edit: Edit, characters: list[Character], _l: list[str], _p: PageDetails) -> list[Correction]:
    return [Correction(edit.kind, old=one.box, old_label=one.label) for one in _some(characters)]


def _join(edit: Edit, characters: list[Character], labels: list[str], _: PageDetails) -> list[Correction]:
    first, *others = characters
    (label,) = labels or [first.label]
    if not others:
        raise ValueError
    left, top = min(one.box.x for one in characters), min(one.box.y for one in characters)
    right = max(one.box.x + one.box.width for one in characters)
    bottom = max(one.box.y + one.box.height for one in characters)
    gone = [Correction(edit.kind, old=one.box, old_label=one.label) for one in others]
    whole = Box(left, top, right - left, bottom - top)
    return [*gone, Correction(edit.kind, old=first.box, old_label=first.label, new=whole, label=label)]


def _split(edit: Edit, characters: list[Character], labels: list[str], _: PageDetails) -> list[Correction]:
    (one,), n = characters, len(edit.labels)
    if not 1 < n <= one.box.height:
        raise ValueError
    tops = [one.box.y + one.box.height * number // n for number in range(n + 1)]
    boxes = [Box(one.box.x, tops[k], one.box.width, tops[k + 1] - tops[k]) for k in range(n)]
    first = Correction(edit.kind, old=one.box, old_label=one.label, new=boxes[0], label=labels[0])
    rest = [Correction(edit.kind, new=boxes[k], label=labels[k], after=boxes[k - 1]) for k in range(1, n)]
    return [first, *rest]


def _order(edit: Edit, characters: list[Character], _: list[str], page: PageDetails) -> list[Correction]:
    after = _after(edit)
    if after is None or after not in {one.box for one in page.characters}:
        raise ValueError
    moved = []
    for one in _some(characters):
        moved.append(Correction(edit.kind, one.box, one.label, one.box, one.label, after=after))
        after = one.box
    return moved


def _role(edit: Edit, characters: list[Character], _: list[str], __: PageDetails) -> list[Correction]:
    role = Role(edit.role or "")
    return [Correction(edit.kind, one.box, one.label, one.box, one.label, role) for one in _some(characters)]


def _confirm(_e: Edit, characters: list[Character], _: list[str], __: PageDetails) -> list[Correction]:
    return [Correction(Kind.CONFIRM, one.box, one.label, one.box, one.label) for one in _some(characters)]


def _page(_: Edit, __: list[Character], ___: list[str], page: PageDetails) -> list[Correction]:
    all_of_it = [Correction(Kind.CONFIRM, one.box, one.label, one.box, one.label) for one in page.characters]
    return [*all_of_it, Correction(Kind.PAGE)]


_MAKERS = {
    Kind.LABEL: _label,
    Kind.MOVE: _move,
    Kind.ADD: _add,
    Kind.DELETE: _delete,
    Kind.JOIN: _join,
    Kind.SPLIT: _split,
    Kind.ORDER: _order,
    Kind.ROLE: _role,
    Kind.CONFIRM: _confirm,
    Kind.PAGE: _page,
}


def _some(characters: list[Character]) -> list[Character]:
    if not characters:
        raise ValueError
    return characters


def _box(numbers: tuple[int, int, int, int]) -> Box:
    return Box(*numbers)


def _after(edit: Edit) -> Box | None:
    return None if edit.after is None else _box(edit.after)


def _new_box(edit: Edit, page: PageDetails) -> Box:
    """Give the new box, as far as it lies on the page."""
    if edit.box is None or not (page.width and page.height):
        raise ValueError
    x, y, width, height = edit.box
    width, height = min(width, page.width - x), min(height, page.height - y)
    if width < 1 or height < 1:
        raise HTTPException(422, "this box lies outside of the page, or is empty")
    if Box(x, y, width, height) in {one.box for one in page.characters}:
        raise HTTPException(409, "another character has this very box")
    return Box(x, y, width, height)
