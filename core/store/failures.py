"""List the pages that failed, and the reasons why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from fumikura.core.store import tables
from fumikura.core.store.relations import check_run, is_asked_by, newest_source
from fumikura.core.store.tables import Status
from fumikura.core.store.tallies import total
from fumikura.core.store.transactions import read_transaction

FAILED = (Status.FAILED, Status.QUARANTINED)
#: Whose reasons are counted: enough to see what is wrong, few enough to be looked at every two seconds.
FAILURES_COUNTED = 1000
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """This is a page that failed or is quarantined, with the place where it was seen last and the reason."""

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
    """Yield the pages that failed or are quarantined, of one run or of all, in the order they were added.

    They are fetched as they are asked for, so that a million of them need no memory.

    Raises:
        FumikuraError: there is no such run; when the first is asked for.
    """
    page, reading, source = tables.page.c, tables.reading.c, tables.page_source.c
    wanted = _select_failed(
        run_id,
        reading.id.label("reading_id"),
        page.id.label("page_id"),
        page.name,
        page.book,
        source.archive,
        source.member,
        reading.status,
        reading.attempts,
        reading.error.label("reason"),
        reading.finished_at,
    ).order_by(reading.id)
    last_id, left = 0, limit
    while left is None or left > 0:
        n_rows = _ROWS_AT_ONCE if left is None else min(left, _ROWS_AT_ONCE)
        with read_transaction(engine) as connection:
            check_run(connection, run_id)
            rows = connection.execute(wanted.where(reading.id > last_id).limit(n_rows)).mappings().all()
        for row in rows:
            yield Failure(**row)
        if len(rows) < n_rows:
            return
        last_id = rows[-1]["reading_id"]
        left = None if left is None else left - n_rows


def failure_reasons(engine: Engine, run_id: int | None = None) -> list[FailureReason]:
    """Count the reasons of the newest FAILURES_COUNTED failures, the most frequent first."""
    reading, source = tables.reading.c, tables.page_source.c
    newest = _select_failed(run_id, reading.status, reading.error, source.archive, source.member)
    newest = newest.order_by(reading.id.desc()).limit(FAILURES_COUNTED)
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
    return statement if run_id is None else statement.where(is_asked_by(run_id))


def _without_particulars(reason: str, archive: str, member: str) -> str:
    for name in (archive, member):
        reason = reason.replace(name, "…") if name else reason
    return re.sub(r"\d[\d,.]*", "…", reason)
