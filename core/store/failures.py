"""List the pages that failed, and the reasons why."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, select

from fumikura.core.store import tables
from fumikura.core.store.relations import asked_by, check_run, newest_source
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction

FAILED = (Status.FAILED, Status.QUARANTINED)


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


def failures(engine: Engine, run_id: int | None = None) -> list[Failure]:
    """List the pages that failed or are quarantined, of one run or of all.

    Raises:
        FumikuraError: there is no such run.
    """
    page, reading, source = tables.page.c, tables.reading.c, tables.page_source.c
    statement = _select_failed(
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
    )
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        rows = connection.execute(statement.order_by(reading.id)).mappings()
        return [Failure(**row) for row in rows]


def failure_reasons(engine: Engine, run_id: int | None = None) -> list[FailureReason]:
    """Count the reasons why pages failed or are quarantined, the most frequent first."""
    reading, source = tables.reading.c, tables.page_source.c
    statement = _select_failed(run_id, reading.status, reading.error, source.archive, source.member)
    with read_transaction(engine) as connection:
        counted = Counter(
            (status, _without_particulars(error or "", archive, member))
            for status, error, archive, member in connection.execute(statement)
        )
    return [
        FailureReason(status, reason, n_pages)
        for (status, reason), n_pages in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _select_failed(run_id: int | None, *columns: ColumnElement[Any]) -> Select[Any]:
    statement = (
        select(*columns)
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, tables.page_source.c.id == newest_source())
        .where(tables.reading.c.status.in_(FAILED))
    )
    return statement if run_id is None else statement.where(asked_by(run_id))


def _without_particulars(reason: str, archive: str, member: str) -> str:
    for name in (archive, member):
        reason = reason.replace(name, "…") if name else reason
    return re.sub(r"\d[\d,.]*", "…", reason)
