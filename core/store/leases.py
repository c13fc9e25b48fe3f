"""Who reads which page: claiming pages, keeping them, and giving them back.

A lease is a reading's row in status `leased` with its worker and the time until
which it holds. Every function locks rows in the order of their ids, so that no two
workers of PostgreSQL wait for each other's rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    case,
    delete,
    or_,
    select,
    update,
)

from fumikura.core.page import Reading, Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows
from fumikura.core.store.relations import is_asked_for, newest_run, newest_source
from fumikura.core.store.rows import character_rows, mask_to_png, row_to_truth, storable
from fumikura.core.store.scores import replace_scores
from fumikura.core.store.session import brief_transaction, moment, now, read_transaction, try_alone, upsert
from fumikura.core.store.tables import Status

#: If nobody returned expired leases for so long, there was an outage: the database or
#: all workers were gone, and leases ran out though their pages harmed nobody.
OUTAGE_S = 30.0
#: How long workers then have to renew their leases.
GRACE_S = 20.0

_LOST = "{} workers ended while they read this page alone"
_FREE: Mapping[str, Any] = {"announced_at": None, "worker": None, "lease_until": None, "lease_size": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """A page that is this worker's to read, and where its image was seen last.

    Attributes:
        run_id: the newest run that asks for it.
    """

    reading_id: int
    page_id: int
    archive: str
    member: str
    digest: str
    size_bytes: int
    truth: Truth | None
    run_id: int | None = None


def claim(
    engine: Engine, reading_ids: Sequence[int], *, recipe_digest: str, worker: str, lease_s: float
) -> list[Claim]:
    """Lease those of some readings that still wait, in the order of their ids.

    Readings of another recipe, and such as are done or another worker's, drop out: a
    message may come twice, late, or to the wrong worker. So do readings that are to come in
    smaller chunks since a worker was lost: a broker may bring back at once, and as it was, the
    message that ended it. What this worker holds already comes again, so that a claim can be
    repeated whose answer was lost.
    """
    reading = tables.reading.c
    may_come = or_(reading.chunk_limit.is_(None), reading.chunk_limit >= len(reading_ids))
    wanted = (
        select(reading.id)
        .join(tables.recipe)
        .where(
            reading.id.in_(reading_ids),
            or_(and_(reading.status == Status.QUEUED, may_come), _leased_to(worker)),
            tables.recipe.c.digest == recipe_digest,
        )
        .order_by(reading.id)
        # Rows that another worker is just claiming are not worth waiting for.
        .with_for_update(of=tables.reading, skip_locked=True)
    )
    with brief_transaction(engine) as connection:
        claimed = list(connection.scalars(wanted))
        if not claimed:
            return []
        connection.execute(
            update(tables.reading)
            .where(reading.id.in_(claimed))
            .values(
                status=Status.LEASED,
                worker=worker,
                lease_until=moment(connection) + timedelta(seconds=lease_s),
                lease_size=len(claimed),
            )
        )
    # Not before the rows are everybody's again: truths are large, see `brief_transaction`.
    return _claims(engine, claimed)


def renew(engine: Engine, worker: str, reading_ids: Sequence[int], *, lease_s: float) -> int:
    """Put off the end of a worker's leases on some readings; how many of them it has.

    What else is leased to it, it does not know of: a database that lost its last
    transactions may have forgotten that it was done. Such leases run out.
    """
    with brief_transaction(engine) as connection:
        until = moment(connection) + timedelta(seconds=lease_s)
        held = and_(_leased_to(worker), tables.reading.c.id.in_(reading_ids))
        return change_readings(connection, held, lease_until=until)


def hand_back(engine: Engine, worker: str) -> int:
    """Queue again what a worker that ends in good order has not read; nothing counts against the pages."""
    with brief_transaction(engine) as connection:
        time = now(connection)
        return change_readings(
            connection,
            _leased_to(worker),
            status=_waiting(),
            finished_at=case((is_asked_for(), None), else_=time),
            **_FREE,
        )


def return_leases(engine: Engine, worker: str, max_attempts: int, *, how: str | None = None) -> int:
    """Take back what a worker held that was lost; how many pages that were.

    They come again in chunks of half the size, until the page that ends its worker
    is alone. Then each lost worker is an attempt, and the last one a quarantine.

    Args:
        how: what ended the worker ("with SIGKILL"), for the reason of a quarantine; None where nobody knows.
    """
    reason = _LOST.format(max_attempts) + (f", the last one {how}" if how else "")
    with brief_transaction(engine) as connection:
        return _take_back(connection, _leased_to(worker), max_attempts, reason=reason)


def return_page(engine: Engine, reading_id: int, *, worker: str, max_attempts: int, reason: str) -> bool:
    """Take back one page that its worker cannot read now but perhaps alone; False without its lease.

    It comes again alone. If it was alone, this was an attempt, and the last one a quarantine.
    """
    condition = and_(_leased_to(worker), tables.reading.c.id == reading_id)
    with brief_transaction(engine) as connection:
        return _take_back(connection, condition, max_attempts, reason=reason, chunk_limit=1) == 1


def return_expired(engine: Engine, max_attempts: int) -> int:
    """Take back the leases that nobody renewed in time, as `return_leases` does.

    Meant to be called every few seconds by whoever is alive. After a gap of OUTAGE_S
    the expired leases last GRACE_S longer instead, as no worker could renew them.
    """
    with brief_transaction(engine) as connection:
        if not try_alone(connection, "sweep"):
            return 0
        time = now(connection)
        expired = and_(tables.reading.c.status == Status.LEASED, tables.reading.c.lease_until < time)
        if _was_outage(connection, time):
            until = time + timedelta(seconds=GRACE_S)
            change_readings(connection, expired, skip_locked=True, lease_until=until)
            return 0
        return _take_back(connection, expired, max_attempts, reason=_LOST.format(max_attempts))


def leaseholders(engine: Engine) -> list[str]:
    """The workers that hold leases, dead ones included."""
    reading = tables.reading.c
    holds = reading.status == Status.LEASED
    statement = select(reading.worker).where(holds).distinct().order_by(reading.worker)
    with read_transaction(engine) as connection:
        return [worker for worker in connection.scalars(statement) if worker is not None]


def save_reading(
    engine: Engine,
    reading_id: int,
    reading: Reading,
    *,
    worker: str,
    scores: Scores | None = None,
    truth: Truth | None = None,
) -> bool:
    """Save all that was read of a page, in one transaction.

    Args:
        truth: what `scores` compare with; they cannot be saved without.

    Returns:
        False, and nothing is written, if the worker no longer holds the page.
    """
    if scores is not None and truth is None:
        raise ValueError("scores can only be saved with the truth that they compare with")
    mask = mask_to_png(reading.mask)
    with brief_transaction(engine) as connection:
        outcome = {
            "status": Status.DONE,
            "error": None,
            "n_characters": len(reading.characters),
            "mean_confidence": reading.mean_confidence,
            "timings_s": dict(reading.timings_s),
            "text": reading.text,
            "mask": mask,
        }
        if not _finish(connection, reading_id, worker, outcome):
            return False
        connection.execute(delete(tables.character).where(tables.character.c.reading_id == reading_id))
        insert_rows(connection, tables.character, character_rows(reading_id, reading.characters))
        replace_scores(connection, reading_id, scores, truth=truth)
        _set_page_size(connection, reading_id, reading)
    return True


def save_failure(engine: Engine, reading_id: int, reason: str, *, worker: str) -> bool:
    """Note why a page cannot be read; False, and nothing is written, without its lease."""
    with brief_transaction(engine) as connection:
        outcome = {"status": Status.FAILED, "error": storable(reason)}
        return _finish(connection, reading_id, worker, outcome)


def queue_again(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """Queue finished readings as if for the first time; how many."""
    values: dict[str, Any] = {
        "status": Status.QUEUED,
        "attempts": 0,
        "chunk_limit": None,
        "error": None,
        "finished_at": None,
    }
    return change_readings(connection, and_(*conditions), **values, **_FREE)


def _leased_to(worker: str) -> ColumnElement[bool]:
    return and_(tables.reading.c.status == Status.LEASED, tables.reading.c.worker == worker)


def change_readings(
    connection: Connection, condition: ColumnElement[bool], *, skip_locked: bool = False, **values: Any
) -> int:
    """Update readings, locking them in the order of their ids.

    Args:
        skip_locked: leave out rows that somebody is just changing.
    """
    reading = tables.reading.c
    locked = select(reading.id).where(condition).order_by(reading.id).with_for_update(skip_locked=skip_locked)
    return connection.execute(update(tables.reading).where(reading.id.in_(locked)).values(**values)).rowcount


def _take_back(
    connection: Connection,
    condition: ColumnElement[bool],
    max_attempts: int,
    *,
    reason: str,
    chunk_limit: int | None = None,
) -> int:
    reading = tables.reading.c
    time = now(connection)
    was_alone = reading.lease_size <= 1
    is_last = and_(was_alone, reading.attempts + 1 >= max_attempts)
    half = chunk_limit or case((was_alone, 1), else_=reading.lease_size // 2)
    return change_readings(
        connection,
        condition,
        # Who waits for a row waits for a machine that froze with it. What is left out now comes next time.
        skip_locked=True,
        status=case((is_last, Status.QUARANTINED), else_=_waiting()),
        attempts=case((was_alone, reading.attempts + 1), else_=reading.attempts),
        chunk_limit=half,
        error=case((is_last, f"{reason}; `fumikura retry` tries it again"), else_=None),
        finished_at=case((is_last, time), (is_asked_for(), None), else_=time),
        **_FREE,
    )


def _waiting() -> ColumnElement[Status]:
    """Queued; cancelled if every run that asked for the reading was cancelled while it was in hand."""
    return case((is_asked_for(), Status.QUEUED), else_=Status.CANCELLED)


def _was_outage(connection: Connection, time: datetime) -> bool:
    """Whether expired leases were not looked after for OUTAGE_S; notes that they are now."""
    gate = tables.gate.c
    due = connection.scalar(select(gate.next_at).where(gate.name == "sweep"))
    statement = upsert(connection, tables.gate).values(
        name="sweep", next_at=time + timedelta(seconds=OUTAGE_S)
    )
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"next_at": statement.excluded.next_at})
    )
    return due is not None and due < time


def _claims(engine: Engine, reading_ids: Sequence[int]) -> list[Claim]:
    reading, page, source, truth = (
        tables.reading.c,
        tables.page.c,
        tables.page_source.c,
        tables.truth.c,
    )
    statement = (
        select(
            reading.id,
            page.id.label("page_id"),
            page.digest,
            page.size_bytes,
            newest_run().label("run_id"),
            source.archive,
            source.member,
            truth.boxes,
            truth.mask,
            truth.is_partial,
        )
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, source.id == newest_source())
        .outerjoin(tables.truth, truth.page_id == page.id)
        .where(reading.id.in_(reading_ids))
        .order_by(reading.id)
    )
    with read_transaction(engine) as connection:
        rows = connection.execute(statement).all()
    return [
        Claim(
            reading_id=row.id,
            page_id=row.page_id,
            archive=row.archive,
            member=row.member,
            digest=row.digest,
            size_bytes=row.size_bytes,
            truth=row_to_truth(row) if row.is_partial is not None else None,
            run_id=row.run_id,
        )
        for row in rows
    ]


def _finish(connection: Connection, reading_id: int, worker: str, outcome: Mapping[str, Any]) -> bool:
    reading = tables.reading.c
    finished = connection.execute(
        update(tables.reading)
        .where(reading.id == reading_id, _leased_to(worker))
        .values(
            **outcome,
            finished_at=moment(connection),
            announced_at=None,
            lease_until=None,
            lease_size=None,
            chunk_limit=None,
        )
    )
    return finished.rowcount == 1


def _set_page_size(connection: Connection, reading_id: int, reading: Reading) -> None:
    page = tables.page.c
    page_id = select(tables.reading.c.page_id).where(tables.reading.c.id == reading_id).scalar_subquery()
    connection.execute(
        update(tables.page)
        .where(page.id == page_id, page.width.is_(None))
        .values(width=reading.width, height=reading.height)
    )
