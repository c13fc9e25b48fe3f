"""List characters by what they are and where they stand, with all that they may be instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Engine, select

from fumikura.core.archives.names import forms
from fumikura.core.page import Box
from fumikura.core.phrases import understand
from fumikura.core.store import tables
from fumikura.core.store.relations import check_run, is_newest_done
from fumikura.core.store.search import start_at_the_label
from fumikura.core.store.transactions import read_transaction

#: As they stand on the pages, or the least sure first.
CharacterOrder = Literal["place", "confidence"]
CHARACTER_ORDERS: tuple[CharacterOrder, ...] = get_args(CharacterOrder)


@dataclass(frozen=True, slots=True)
class ListedCharacter:
    """This is a character with its place.

    Attributes:
        position: in reading order, from 0.
        column_number: from 0, counted from the right-hand edge.
        alternatives: the next-best (label, probability), best first.
    """

    page_id: int
    page: str
    book: str
    reading_id: int
    position: int
    column_number: int
    box: Box
    label: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]


def list_characters(
    engine: Engine,
    *,
    labels: str | None = None,
    as_written: bool = False,
    min_confidence: float | None = None,
    max_confidence: float | None = None,
    role: str | None = None,
    book: str | None = None,
    page_id: int | None = None,
    region: Box | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    order: CharacterOrder = "place",
    limit: int = 50,
    offset: int = 0,
) -> list[ListedCharacter]:
    """List characters of the newest done reading of each page, or of those of a run or recipe.

    Args:
        labels: any of these characters; like those of a phrase they stand for others too.
        role: such as "furigana".
        region: of the page, in its pixels; the middle of a character lies in it.

    Raises:
        UsageError: `labels` names none.
        FumikuraError: there is no such run.
    """
    character, page = tables.character.c, tables.page.c
    conditions = [is_newest_done(recipe_prefix=recipe, run_id=run_id)]
    if labels is not None:
        meant = understand(labels.replace("*", "").replace("?", ""), as_written=as_written)
        chosen = {label for place in meant.stretches[0] for label in place or ()}
        conditions.append(character.label.in_(sorted(chosen)))
    if min_confidence is not None:
        conditions.append(character.confidence >= min_confidence)
    if max_confidence is not None:
        conditions.append(character.confidence <= max_confidence)
    if role is not None:
        conditions.append(character.role == role)
    if book is not None:
        conditions.append(page.book.in_(forms(book)))
    if page_id is not None:
        conditions.append(page.id == page_id)
    if region is not None:
        conditions += _lies_in(region)
    by = [character.confidence] if order == "confidence" else []
    statement = (
        select(page.id.label("page_id"), page.name.label("page"), page.book, *tables.character.columns)
        .select_from(tables.character)
        .join(tables.reading, tables.reading.c.id == character.reading_id)
        .join(tables.page, page.id == tables.reading.c.page_id)
        .where(*conditions)
        .order_by(*by, character.reading_id, character.position)
        .limit(limit)
        .offset(offset)
    )
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        start_at_the_label(connection)
        return [_listed(row) for row in connection.execute(statement)]


def _lies_in(region: Box) -> list[ColumnElement[bool]]:
    character = tables.character.c
    x, y = character.x * 2 + character.width, character.y * 2 + character.height
    return [
        x >= 2 * region.x,
        x < 2 * (region.x + region.width),
        y >= 2 * region.y,
        y < 2 * (region.y + region.height),
    ]


def _listed(row: Any) -> ListedCharacter:
    return ListedCharacter(
        page_id=row.page_id,
        page=row.page,
        book=row.book,
        reading_id=row.reading_id,
        position=row.position,
        column_number=row.column_number,
        box=Box(row.x, row.y, row.width, row.height),
        label=row.label,
        confidence=row.confidence,
        alternatives=tuple((label, share) for label, share in row.alternatives),
    )
