"""List pages, each with its reading in figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Engine,
    Float,
    FromClause,
    Select,
    Subquery,
    and_,
    cast,
    func,
    select,
)

from fumikura.core.archives.names import forms
from fumikura.core.store import tables
from fumikura.core.store.lookup import shared_columns
from fumikura.core.store.relations import (
    check_run,
    is_asked_by,
    is_done_too,
    is_near_run,
    is_newest_done,
    newest_source,
    readings_with_truth,
    shown_reading,
    was_learnt,
)
from fumikura.core.store.search import match_phrase
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import expect_few_rows, read_transaction

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
    archive: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[PageSummary]:
    """List pages, each with one reading: the newest done one, or the newest if none is done.

    Args:
        text: a character or a phrase that was read on the page.
        run_id: only pages of this run, with its readings.
        recipe: the beginning of a recipe's digest; only pages that have a reading by it.
        min_dice: leaves out pages without truth, as `max_dice` and the order "dice" do.
        max_confidence: of the mean over the page; leaves out pages without characters, as "confidence" does.
        archive: only pages that were seen there, as the store names it.
        offset: pages that are left out before the first.
        is_suspicious: only pages whose reading should be looked at.

    Raises:
        FumikuraError: there is no such run.
    """
    by_dice = min_dice is not None or max_dice is not None or order == "dice"
    by_confidence = max_confidence is not None or order == "confidence"
    begin: _Beginning = (
        "suspicion" if is_suspicious else "reading" if by_confidence else "truth" if by_dice else "page"
    )
    # An order by the index of confidences is of use among all pages, not among those of one run.
    value = _as_it_is if begin == "reading" and run_id is None else _hidden
    chosen = _choose(begin, run_id=run_id, recipe=recipe)
    first = _sorted_by(order)
    if first is not None:
        chosen = chosen.where(value(first) >= 0).order_by(value(first))
    if max_confidence is not None:
        confidence = value(tables.reading.c.mean_confidence)
        chosen = chosen.where(confidence >= 0, confidence <= max_confidence)
    if min_dice is not None:
        chosen = chosen.where(_hidden(_dice()) >= min_dice)
    if max_dice is not None:
        chosen = chosen.where(_hidden(_dice()).between(0, max_dice))
    if book is not None:
        chosen = chosen.where(tables.page.c.book.in_(forms(book)))
    if archive is not None:
        here = select(tables.page_source.c.page_id).where(tables.page_source.c.archive == archive)
        chosen = chosen.where(tables.page.c.id.in_(here))
    if status is not None:
        chosen = chosen.where(_is_in(status))
    if text is not None:
        chosen = chosen.where(tables.reading.c.id.in_(select(match_phrase(text).c.reading_id)))
    # In the order of an index, where there is one: for the order of pages, all would have to be looked up.
    by_index = begin == "suspicion" and run_id is None
    added = tables.suspicion.c.reading_id if by_index else _BEGINNINGS[begin][1]
    chosen_pages = chosen.order_by(added).limit(limit).offset(offset).subquery("chosen")
    shown = _summaries(chosen_pages)
    if first is not None:
        shown = shown.order_by(first)
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        if by_index:
            expect_few_rows(connection)
        # Not of `page`, in whose order SQLite would then look at all pages.
        rows = connection.execute(shown.order_by(chosen_pages.c.page_id)).mappings()
        return [PageSummary(**row) for row in rows]


def count_suspicious(engine: Engine, run_id: int) -> int:
    """Count the pages of a run whose reading should be looked at."""
    is_its_own = _reading.c.id == tables.suspicion.c.reading_id
    of_run = is_its_own, is_near_run(_reading.c.page_id, run_id), is_done_too(), is_asked_by(run_id)
    # Asked of each, with OFFSET 0: PostgreSQL would else look through all readings.
    is_of_run = select(_reading.c.id).where(*of_run).correlate(tables.suspicion).offset(0).exists()
    counted = select(func.count()).select_from(tables.suspicion).where(is_of_run)
    with read_transaction(engine) as connection:
        return connection.execute(counted).scalar_one()


_Beginning = Literal["page", "suspicion", "reading", "truth"]
_page, _reading, _score = tables.page, tables.reading, tables.score
#: Where to look for pages, and the number of the page there. What comes first is what few rows have of all
#: that is asked for. The other tables follow by outer joins, for else SQLite would begin where it likes.
_BEGINNINGS: dict[_Beginning, tuple[FromClause, ColumnElement[int]]] = {
    "page": (_page, _page.c.id),
    "suspicion": (
        tables.suspicion.outerjoin(_reading, _reading.c.id == tables.suspicion.c.reading_id)
        .outerjoin(_score, _score.c.reading_id == _reading.c.id)
        .outerjoin(_page, _page.c.id == _reading.c.page_id),
        _reading.c.page_id,
    ),
    "reading": (
        _reading.outerjoin(_score, _score.c.reading_id == _reading.c.id).outerjoin(
            _page, _page.c.id == _reading.c.page_id
        ),
        _reading.c.page_id,
    ),
    "truth": (
        readings_with_truth.outerjoin(_page, _page.c.id == tables.truth.c.page_id),
        tables.truth.c.page_id,
    ),
}


def _choose(begin: _Beginning, *, run_id: int | None, recipe: str | None) -> Select[Any]:
    """Choose pages, each with the reading that is shown for it."""
    begins, page_id = _BEGINNINGS[begin]
    if begin == "page":
        shown = shown_reading(recipe_prefix=recipe, run_id=run_id)
        begins = begins.outerjoin(_reading, _reading.c.id == shown)
    chosen = select(page_id.label("page_id"), _reading.c.id.label("reading_id")).select_from(begins)
    if begin != "page":
        chosen = chosen.where(is_newest_done(recipe_prefix=recipe, run_id=run_id, of_few=True))
    elif run_id is not None or recipe is not None:
        chosen = chosen.where(_hidden(_reading.c.id) > 0)
    if run_id is not None:
        chosen = chosen.where(is_near_run(page_id, run_id))
    return chosen


def _summaries(chosen: Subquery) -> Select[Any]:
    source = tables.page_source.c
    return (
        select(
            *shared_columns(),
            source.archive,
            source.member,
            _reading.c.n_characters,
            _dice().label("dice"),
            _character_f1().label("character_f1"),
            tables.suspicion.c.reasons.label("suspicions"),
            was_learnt().label("is_learnt"),
        )
        .join_from(chosen, _page, _page.c.id == chosen.c.page_id)
        .join(tables.page_source, source.id == newest_source())
        .outerjoin(_reading, _reading.c.id == chosen.c.reading_id)
        .outerjoin(_score, _score.c.reading_id == _reading.c.id)
        .outerjoin(tables.suspicion, tables.suspicion.c.reading_id == _reading.c.id)
    )


def _is_in(status: Status) -> ColumnElement[bool]:
    """Make the condition that the reading that is shown stands in a status."""
    is_shown = func.coalesce(_reading.c.status, "") == status
    if status == Status.DONE:
        return is_shown
    # Few pages have such a reading at all: the others are left out before theirs is looked for.
    any_reading = _reading.alias("any_reading")
    with_one = select(any_reading.c.page_id).where(any_reading.c.status == status)
    return and_(_page.c.id.in_(with_one), is_shown)


def _sorted_by(order: Order) -> ColumnElement[Any] | None:
    by = {"confidence": _reading.c.mean_confidence, "characters": _reading.c.n_characters, "dice": _dice()}
    return by.get(order)


def _as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def _hidden(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Make a value, -1 without, for which no database looks into an index, or leaves an outer join."""
    return func.coalesce(column, -1)


def _dice() -> ColumnElement[Any]:
    score = tables.score.c
    found_and_true = 2 * score.pixel_tp + score.pixel_fp + score.pixel_fn
    return cast(2 * score.pixel_tp, Float) / func.nullif(found_and_true, 0)


def _character_f1() -> ColumnElement[Any]:
    score = tables.score.c
    return cast(2 * score.n_right, Float) / func.nullif(score.n_truth + score.n_found, 0)
