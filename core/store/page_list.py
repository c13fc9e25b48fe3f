"""List pages, each with its reading in figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Engine, Float, Select, cast, func, select

from fumikura.core.archives.names import forms
from fumikura.core.store import tables
from fumikura.core.store.lookup import shared_columns
from fumikura.core.store.relations import (
    asked_by,
    check_run,
    is_newest_done,
    newest_source,
    shown_reading,
    was_learnt,
)
from fumikura.core.store.search import match_phrase
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction

#: Orders of pages: as they were added; the least sure, the fewest characters or the worst first.
Order = Literal["added", "confidence", "characters", "dice"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, slots=True)
class PageSummary:
    """This is a page with its reading in figures; what concerns the reading is None without one.

    Attributes:
        error: why it failed.
        dice: of the mask against the truth.
        character_f1: against the truth, old and new kanji counted as the same.
        is_learnt: the weights have learnt from this page, so that its scores say nothing of others.
        suspicions: why the reading should be looked at, with commas between; None if nothing is unusual.
    """

    page_id: int
    name: str
    book: str
    digest: str
    archive: str
    member: str
    width: int | None
    height: int | None
    reading_id: int | None
    status: Status | None
    error: str | None
    n_characters: int | None
    mean_confidence: float | None
    finished_at: datetime | None
    dice: float | None
    character_f1: float | None
    suspicions: str | None = None
    is_learnt: bool = False


def find_pages(
    engine: Engine,
    *,
    book: str | None = None,
    status: Status | None = None,
    text: str | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    min_dice: float | None = None,
    max_dice: float | None = None,
    max_confidence: float | None = None,
    is_suspicious: bool = False,
    order: Order = "added",
    limit: int = 50,
) -> list[PageSummary]:
    """List pages, each with one reading: the newest done one, or the newest if none is done.

    Args:
        text: a character or a phrase that was read on the page.
        run_id: only pages of this run, with its readings.
        recipe: the beginning of a recipe's digest; only pages that have a reading by it.
        min_dice: leaves out pages without truth, as `max_dice` and the order "dice" do.
        max_confidence: of the mean over the page; leaves out pages without characters, as "confidence" does.
        is_suspicious: only pages whose reading should be looked at.

    Raises:
        FumikuraError: there is no such run.
    """
    reading, dice = tables.reading.c, _dice()
    # Where few readings are wanted, their index is where to begin; else it is the pages.
    by_reading = is_suspicious or max_confidence is not None or order == "confidence"
    statement = _summaries(run_id=run_id, recipe=recipe, by_reading=by_reading)
    if is_suspicious:
        statement = statement.where(tables.suspicion.c.reasons.is_not(None))
    if max_confidence is not None:
        statement = statement.where(reading.mean_confidence <= max_confidence)
    if book is not None:
        statement = statement.where(tables.page.c.book.in_(forms(book)))
    if status is not None:
        statement = statement.where(reading.status == status)
    if run_id is not None or recipe is not None:
        statement = statement.where(reading.id.is_not(None))
    if text is not None:
        statement = statement.where(reading.id.in_(select(match_phrase(text).c.reading_id)))
    if min_dice is not None:
        statement = statement.where(dice >= min_dice)
    if max_dice is not None:
        statement = statement.where(dice <= max_dice)
    sorted_by = {"confidence": reading.mean_confidence, "characters": reading.n_characters, "dice": dice}
    if (first := sorted_by.get(order)) is not None:
        # NULL comes first in one database, and last in the other.
        statement = statement.where(first.is_not(None)).order_by(first)
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        rows = connection.execute(statement.order_by(tables.page.c.id).limit(limit)).mappings()
        return [PageSummary(**row) for row in rows]


def count_suspicious(engine: Engine, run_id: int) -> int:
    """Count the pages of a run whose reading should be looked at."""
    reading = tables.reading.c
    counted = (
        select(func.count())
        .select_from(tables.suspicion)
        .join(tables.reading, reading.id == tables.suspicion.c.reading_id)
        .where(reading.status == Status.DONE, asked_by(run_id))
    )
    with read_transaction(engine) as connection:
        return connection.execute(counted).scalar_one()


def _summaries(*, run_id: int | None, recipe: str | None, by_reading: bool) -> Select[Any]:
    reading, source = tables.reading.c, tables.page_source.c
    shown = select(
        *shared_columns(),
        source.archive,
        source.member,
        reading.n_characters,
        _dice().label("dice"),
        _character_f1().label("character_f1"),
        tables.suspicion.c.reasons.label("suspicions"),
        was_learnt().label("is_learnt"),
    )
    if by_reading:
        shown = shown.join_from(tables.reading, tables.page).where(
            is_newest_done(recipe_prefix=recipe, run_id=run_id)
        )
    else:
        is_shown = reading.id == shown_reading(recipe_prefix=recipe, run_id=run_id)
        shown = shown.outerjoin_from(tables.page, tables.reading, is_shown)
    return (
        shown.join(tables.page_source, source.id == newest_source())
        .outerjoin(tables.score, tables.score.c.reading_id == reading.id)
        .outerjoin(tables.suspicion, tables.suspicion.c.reading_id == reading.id)
    )


def _dice() -> ColumnElement[Any]:
    score = tables.score.c
    found_and_true = 2 * score.pixel_tp + score.pixel_fp + score.pixel_fn
    return cast(2 * score.pixel_tp, Float) / func.nullif(found_and_true, 0)


def _character_f1() -> ColumnElement[Any]:
    score = tables.score.c
    return cast(2 * score.n_right, Float) / func.nullif(score.n_truth + score.n_found, 0)
