"""Tell where runs and their pages stand, and retry or cancel them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, not_, or_, select, update

from fumikura.core.page import Scores
from fumikura.core.store import tables
from fumikura.core.store.failures import FAILED
from fumikura.core.store.lookup import find_page_id
from fumikura.core.store.reading_status import MOST_LOCKED, change_readings, lock_readings, queue_again
from fumikura.core.store.relations import (
    asked_by,
    check_run,
    is_asked_by,
    is_asked_for,
    is_done_too,
    is_near_run,
    readings_of_runs,
    readings_with_truth,
    was_learnt,
)
from fumikura.core.store.rows import row_to_scores
from fumikura.core.store.tables import Status
from fumikura.core.store.tallies import count_pages, count_readings, tallies_of_runs, total
from fumikura.core.store.transactions import now, read_transaction, request_transaction


@dataclass(frozen=True, slots=True)
class RunSummary:
    """This is a run with the number of its pages in each status.

    Attributes:
        pages: distinct pages asked for.
        done: read since the run asked for them.
        failed: quarantined ones included.
        skipped: done before.
        characters: on all pages that are done, skipped ones included.
        is_listed: whether all its pages were added; while that goes on, or if it was cut off, they were not.
    """

    run: int
    recipe_digest: str
    command: str
    created_at: datetime
    is_cancelled: bool
    is_listed: bool
    pages: int
    done: int
    failed: int
    quarantined: int
    skipped: int
    queued: int
    leased: int
    cancelled: int
    characters: int

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing more will happen to its pages by itself."""
        return not self.queued and not self.leased

    @property
    def is_over(self) -> bool:
        """Tell whether, besides, no more pages are being added."""
        return self.is_finished and self.is_listed


@dataclass(frozen=True, slots=True)
class Overview:
    """This tells in numbers what the database holds."""

    n_pages: int
    n_runs: int
    readings: Mapping[Status, int]


def list_runs(engine: Engine, *, limit: int | None = None) -> list[RunSummary]:
    """List the runs, the newest first."""
    newest = select(tables.run.c.id).order_by(tables.run.c.id.desc()).limit(limit)
    with read_transaction(engine) as connection:
        return _summaries(connection, tables.run.c.id.in_(newest))


def run_summary(engine: Engine, run_id: int) -> RunSummary:
    """Tell where the pages of a run stand, at the same small cost for any number of them.

    Raises:
        FumikuraError: there is no such run.
    """
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        (summary,) = _summaries(connection, tables.run.c.id == run_id)
        return summary


def run_scores_by_book(
    engine: Engine, run_id: int, *, is_learnt: bool | None = None
) -> list[tuple[str, Scores]]:
    """List the scores of a run's pages, each with its page's book, ordered by book.

    Args:
        is_learnt: only pages that the weights have learnt from, or only others; None lists both.
    """
    truth, counts = tables.truth.c, [tables.score.c[count.name] for count in fields(Scores)]
    statement = (
        select(tables.page.c.book, *counts)
        # The page too by an outer join, or SQLite would begin with all pages.
        .select_from(readings_with_truth.outerjoin(tables.page, tables.page.c.id == truth.page_id))
        .where(
            is_near_run(truth.page_id, run_id),
            is_asked_by(run_id),
            is_done_too(),
            func.coalesce(tables.score.c.reading_id, 0) > 0,
        )
        .order_by(tables.reading.c.id)
    )
    if is_learnt is not None:
        statement = statement.where(was_learnt() if is_learnt else not_(was_learnt()))
    with read_transaction(engine) as connection:
        rows = [(row.book, row_to_scores(row)) for row in connection.execute(statement)]
    return sorted(rows, key=lambda row: row[0])  # each database would sort by another language


def overview(engine: Engine) -> Overview:
    """Count pages, runs and readings."""
    with read_transaction(engine) as connection:
        return Overview(
            n_pages=count_pages(connection),
            n_runs=connection.execute(select(func.count()).select_from(tables.run)).scalar_one(),
            readings=count_readings(connection),
        )


def retry(
    engine: Engine, *, run_id: int | None = None, page: str | None = None, reason: str | None = None
) -> int:
    """Queue failed and quarantined readings again, of a run, of a page or of all; return how many.

    So are those whose lease ran out, should no worker be left to take them back.

    Args:
        page: its name, id or the beginning of its digest.
        reason: what their reasons contain, in this order where "…" stands for anything.

    Raises:
        FumikuraError: there is no such run or page.
    """
    reading = tables.reading.c
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        is_lost = and_(reading.status == Status.LEASED, reading.lease_until < now(connection))
        conditions: list[ColumnElement[bool]] = [or_(reading.status.in_(FAILED), is_lost)]
        if run_id is not None:
            conditions.append(asked_by(run_id))
        if page is not None:
            conditions.append(reading.page_id == find_page_id(connection, page))
    if reason is not None:
        escaped = (re.sub(r"([\\%_])", r"\\\1", part) for part in reason.split("…"))
        conditions.append(reading.error.ilike(f"%{'%'.join(escaped)}%", escape="\\"))
    return sum(_in_batches(engine, and_(*conditions), _retry_batch))


def cancel(engine: Engine, run_id: int) -> int:
    """Take a run's waiting pages out of the queue; return how many. What is being read is finished.

    Pages that another run asks for, and that one is not cancelled, stay in the queue. A page
    in hand that comes back unread is cancelled then. Cut off half-way, the same again goes on.

    Raises:
        FumikuraError: there is no such run.
    """
    reading, run = tables.reading.c, tables.run.c
    with request_transaction(engine) as connection:
        check_run(connection, run_id)
        cancelled = update(tables.run).where(run.id == run_id, run.cancelled_at.is_(None))
        connection.execute(cancelled.values(cancelled_at=now(connection)))
    # Those in hand too: a page that is just coming back has not seen yet that the run is cancelled.
    is_open = reading.status.in_((Status.QUEUED, Status.LEASED))
    unasked = and_(is_open, asked_by(run_id), not_(is_asked_for(but_by_run=run_id)))
    return sum(_in_batches(engine, unasked, _cancel_batch))


def _in_batches(
    engine: Engine, condition: ColumnElement[bool], change: Callable[[Connection, list[int]], int]
) -> Iterator[int]:
    """Change readings batch by batch, in the order of their ids, and yield how many were changed."""
    last_id = 0
    while True:
        with request_transaction(engine) as connection:
            batch = lock_readings(connection, and_(condition, tables.reading.c.id > last_id))
            n_changed = change(connection, batch) if batch else 0
        yield n_changed
        if len(batch) < MOST_LOCKED:
            return
        last_id = batch[-1]


def _retry_batch(connection: Connection, reading_ids: list[int]) -> int:
    _revive_runs(connection, tables.reading.c.id.in_(reading_ids))
    return queue_again(connection, tables.reading.c.id.in_(reading_ids))


def _cancel_batch(connection: Connection, reading_ids: list[int]) -> int:
    reading = tables.reading.c
    return change_readings(
        connection,
        and_(reading.id.in_(reading_ids), reading.status == Status.QUEUED),
        status=Status.CANCELLED,
        finished_at=now(connection),
    )


def _revive_runs(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Let the cancelled runs of some readings ask for them again, or no run would."""
    run = tables.run.c
    asking = select(run.id).select_from(readings_of_runs).where(condition, run.cancelled_at.is_not(None))
    connection.execute(update(tables.run).where(run.id.in_(asking)).values(cancelled_at=None))


def _summaries(connection: Connection, wanted: ColumnElement[bool]) -> list[RunSummary]:
    run = tables.run.c
    rows = connection.execute(
        select(
            run.id.label("run"),
            tables.recipe.c.digest.label("recipe_digest"),
            run.command,
            run.created_at,
            run.cancelled_at.is_not(None).label("is_cancelled"),
            run.listed_at.is_not(None).label("is_listed"),
            *(count.label(name) for name, count in _counts().items()),
        )
        .select_from(tallies_of_runs)
        .join(tables.recipe, tables.recipe.c.id == run.recipe_id)
        .where(wanted)
        .group_by(run.id, tables.recipe.c.id)
        .order_by(run.id.desc())
    )
    return [RunSummary(**row) for row in rows.mappings()]


def _counts() -> dict[str, ColumnElement[int]]:
    """Make the counts of a run from its tally, where what was done before counts as done too."""
    tally = tables.run_tally.c
    statuses: list[ColumnElement[int]] = [tally[status] for status in Status]
    return {
        "pages": total(sum(statuses[1:], start=statuses[0])),
        "done": total(tally.done - tally.skipped),
        "failed": total(tally.failed + tally.quarantined),
        **{name: total(tally[name]) for name in ("quarantined", "skipped", "queued", "leased", "cancelled")},
        "characters": total(tally.characters),
    }
