"""What `status` asks beside the runs: who read how much, and why pages failed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from fumikura.core.store import tables
from fumikura.core.store.relations import asked_by, newest_source
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction


@dataclass(frozen=True, slots=True)
class FailureReason:
    """Why some pages failed; what differs between them (names, numbers) is an ellipsis."""

    status: Status
    reason: str
    n_pages: int


def done_by_worker(engine: Engine) -> dict[str, int]:
    """How many readings each worker has made, of all that are in the database."""
    reading = tables.reading.c
    counted = (
        select(reading.worker, func.count()).where(reading.status == Status.DONE).group_by(reading.worker)
    )
    with read_transaction(engine) as connection:
        return {worker: n_pages for worker, n_pages in connection.execute(counted) if worker is not None}


def failure_reasons(engine: Engine, run_id: int | None = None) -> list[FailureReason]:
    """The reasons of failed and quarantined pages, of one run or of all; the most frequent first."""
    reading, source = tables.reading.c, tables.page_source.c
    statement = (
        select(reading.status, reading.error, source.archive, source.member)
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, source.id == newest_source())
        .where(reading.status.in_((Status.FAILED, Status.QUARANTINED)))
    )
    if run_id is not None:
        statement = statement.where(asked_by(run_id))
    with read_transaction(engine) as connection:
        counted = Counter(
            (status, _without_particulars(error or "", archive, member))
            for status, error, archive, member in connection.execute(statement)
        )
    return [
        FailureReason(status, reason, n_pages)
        for (status, reason), n_pages in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _without_particulars(reason: str, archive: str, member: str) -> str:
    for name in (archive, member):
        reason = reason.replace(name, "…") if name else reason
    return re.sub(r"\d[\d,.]*", "…", reason)
