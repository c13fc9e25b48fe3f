"""List the pages that failed, and the reasons why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    select,
    tuple_,
)

from fumikura.core.page import name_of
from fumikura.core.store import tables
from fumikura.core.store.relations import check_run, is_asked_by, is_near_run, newest_source
from fumikura.core.store.tables import Status
from fumikura.core.store.tallies import total
from fumikura.core.store.transactions import read_transaction

FAILED = (Status.FAILED, Status.QUARANTINED)
#: Whose reasons are counted: enough to see what is wrong, few enough to be looked at every two seconds.
FAILURES_COUNTED = 1000
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """This is a file whose page failed or is quarantined; files of equal bytes are one page."""

    reading_id: int
    page_id: int
    name: str
    book: str
    archive: str
    member: str
    status: Status
    attempts: int
    reason: str
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class FailureReason:
    """This is a reason that several pages share; what differs (names, numbers) is an ellipsis."""

    status: Status
    reason: str
    n_pages: int


def failures(engine: Engine, run_id: int | None = None, *, limit: int | None = None) -> Iterator[Failure]:
    """Yield the files of one run, or of all, whose pages failed or are quarantined, in the order of adding.

    A file in whose place other bytes were found since is not among them. They are fetched as they are asked
    for, so that a million of them need no memory.

    Raises:
        FumikuraError: there is no such run; when the first is asked for.
    """
    page, reading, source = tables.page.c, tables.reading.c, tables.page_source.c
    key = (reading.page_id, reading.id, source.id)
    wanted = _of_run(
        select(
            reading.id.label("reading_id"),
            source.id.label("source_id"),
            page.id.label("page_id"),
            page.book,
            source.archive,
            source.member,
            reading.status,
            reading.attempts,
            reading.error.label("reason"),
            reading.finished_at,
        )
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, source.page_id == page.id)
        .where(tables.IS_FAILED, _stands(tables.page_source)),
        run_id,
    ).order_by(*key)
    last: tuple[int, int, int] | None = None
    left = limit
    while left is None or left > 0:
        n_rows = _ROWS_AT_ONCE if left is None else min(left, _ROWS_AT_ONCE)
        # Not at first behind 0: of two lower bounds SQLite heeds one, and would pass by all other runs.
        behind = wanted if last is None else wanted.where(_is_behind(last))
        with read_transaction(engine) as connection:
            check_run(connection, run_id)
            rows = connection.execute(behind.limit(n_rows)).mappings().all()
        yield from map(_failure, rows)
        if len(rows) < n_rows:
            return
        last = (rows[-1]["page_id"], rows[-1]["reading_id"], rows[-1]["source_id"])
        left = None if left is None else left - n_rows


def n_replaced(engine: Engine, run_id: int | None = None) -> int:
    """Count the failed pages that `failures` does not tell: other bytes stand in all their places by now."""
    own = tables.page_source.alias("own")
    is_there = (
        exists().where(own.c.page_id == tables.reading.c.page_id, _stands(own)).correlate(tables.reading)
    )
    statement = select(func.count()).select_from(tables.reading).where(tables.IS_FAILED, ~is_there)
    with read_transaction(engine) as connection:
        count: int = connection.execute(_of_run(statement, run_id)).scalar_one()
        return count


def _stands(source: FromClause) -> ColumnElement[bool]:
    """Make the condition that no other bytes were found since in the place of a source."""
    newer = tables.page_source.alias("newer")
    is_same_place = newer.c.place == source.c.place
    return ~exists().where(is_same_place, newer.c.seen_at > source.c.seen_at).correlate(source)


def _failure(row: RowMapping) -> Failure:
    values = {key: value for key, value in row.items() if key != "source_id"}
    # Not the page's own name, which is that of the first of its files.
    return Failure(**values, name=name_of(row["archive"], row["member"]))


def failure_reasons(engine: Engine, run_id: int | None = None) -> list[FailureReason]:
    """Count the reasons of the newest FAILURES_COUNTED failures, the most frequent first."""
    reading, source = tables.reading.c, tables.page_source.c
    newest = _select_failed(run_id, reading.status, reading.error, source.archive, source.member)
    newest = newest.order_by(reading.page_id.desc(), reading.id.desc()).limit(FAILURES_COUNTED)
    with read_transaction(engine) as connection:
        if not _n_failures(connection, run_id):
            return []  # lest all failures of other runs are looked at
        counted = Counter(
            (status, _without_particulars(error or "", archive, member))
            for status, error, archive, member in connection.execute(newest)
        )
    return [
        FailureReason(status, reason, n_pages)
        for (status, reason), n_pages in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _n_failures(connection: Connection, run_id: int | None) -> int:
    tally = tables.recipe_tally if run_id is None else tables.run_tally
    count = select(total(tally.c.failed + tally.c.quarantined))
    if run_id is not None:
        count = count.where(tables.run_tally.c.run_id == run_id)
    n_failures: int = connection.execute(count).scalar_one()
    return n_failures


def _select_failed(run_id: int | None, *columns: ColumnElement[Any]) -> Select[Any]:
    statement = (
        select(*columns)
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, tables.page_source.c.id == newest_source())
        .where(tables.IS_FAILED)
    )
    return _of_run(statement, run_id)


def _of_run(statement: Select[Any], run_id: int | None) -> Select[Any]:
    if run_id is None:
        return statement
    return statement.where(is_near_run(tables.reading.c.page_id, run_id), is_asked_by(run_id))


def _is_behind(last: tuple[int, int, int]) -> ColumnElement[bool]:
    reading, source = tables.reading.c, tables.page_source.c
    # The first is for the index, which knows no places.
    return and_(reading.page_id >= last[0], tuple_(reading.page_id, reading.id, source.id) > last)


def _without_particulars(reason: str, archive: str, member: str) -> str:
    for name in (archive, member):
        reason = reason.replace(name, "…") if name else reason
    return re.sub(r"\d[\d,.]*", "…", reason)
