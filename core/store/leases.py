"""Keep the leases of workers that live, and take pages back from workers that end or die.

A lease is a reading's row in status `leased` with its worker and the time until which it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, select

from fumikura.core.store import tables
from fumikura.core.store.reading_status import FREE, change_readings, lock_readings
from fumikura.core.store.relations import IS_LEASED, is_asked_for, is_leased_to
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import (
    brief_transaction,
    moment,
    now,
    read_transaction,
    set_gate,
    try_alone,
)

#: If nobody returned expired leases for so long, there was an outage: the database or
#: all workers were gone, and leases ran out though their pages harmed nobody.
OUTAGE_S = 30.0
#: A clock that is so much behind what it said before was set back.
STEP_S = 5.0
#: How long workers then have to renew their leases.
GRACE_S = 20.0


def renew(engine: Engine, worker: str, reading_ids: Sequence[int], *, lease_s: float) -> int:
    """Let a worker keep its leases on some readings for longer; return how many of them it has.

    What else is leased to it, it does not know of: a database that lost its last
    transactions may have forgotten that it was done. Such leases run out.
    """
    with brief_transaction(engine) as connection:
        until = moment(connection) + timedelta(seconds=lease_s)
        held = and_(is_leased_to(worker), tables.reading.c.id.in_(reading_ids))
        return change_readings(connection, held, lease_until=until)


def hand_back(engine: Engine, worker: str) -> int:
    """Queue again what a worker that ends in good order has not read; nothing counts against the pages."""
    with brief_transaction(engine) as connection:
        held = lock_readings(connection, is_leased_to(worker))
        time = now(connection)
        return change_readings(
            connection,
            tables.reading.c.id.in_(held),
            status=waiting_status(),
            finished_at=case((is_asked_for(), None), else_=time),
            **FREE,
        )


def return_leases(engine: Engine, worker: str, max_attempts: int, *, how: str | None = None) -> int:
    """Take back the pages of a worker that died; return how many.

    They come again in chunks of half the size, until the page that ends its worker
    is alone. Then each lost worker is an attempt, and the last one a quarantine.

    Args:
        how: what ended the worker ("with SIGKILL"), for the reason of a quarantine; None where nobody knows.
    """
    reason = _lost(max_attempts, how)
    with brief_transaction(engine) as connection:
        return _take_back(connection, is_leased_to(worker), max_attempts, reason=reason)


def return_page(engine: Engine, reading_id: int, *, worker: str, max_attempts: int, reason: str) -> bool:
    """Take back one page that its worker cannot read now but perhaps alone; False without its lease.

    It comes again alone. If it was alone, this was an attempt, and the last one a quarantine.
    """
    condition = and_(is_leased_to(worker), tables.reading.c.id == reading_id)
    with brief_transaction(engine) as connection:
        return _take_back(connection, condition, max_attempts, reason=reason, chunk_limit=1) == 1


def return_expired(engine: Engine, max_attempts: int) -> int:
    """Take back the leases that nobody renewed in time, as `return_leases` does.

    Meant to be called every few seconds by whoever is alive. After a gap of OUTAGE_S
    the expired leases last GRACE_S longer instead, as no worker could renew them; after the
    database's clock was set back, all leases last so long.
    """
    with brief_transaction(engine) as connection:
        if not try_alone(connection, "sweep"):
            return 0
        time = now(connection)
        expired = and_(IS_LEASED, tables.reading.c.lease_until < time)
        last_sweep = _note_sweep(connection, time)
        until = time + timedelta(seconds=GRACE_S)
        if last_sweep is not None and last_sweep > time + timedelta(seconds=STEP_S):
            # The clock was set back, and leases from before would last so much longer. Who lives renews them.
            change_readings(connection, IS_LEASED, skip_locked=True, lease_until=until)
            return 0
        if last_sweep is not None and last_sweep < time - timedelta(seconds=OUTAGE_S):
            change_readings(connection, expired, skip_locked=True, lease_until=until)
            return 0
        return _take_back(connection, expired, max_attempts, reason=_lost(max_attempts))


def leaseholders(engine: Engine) -> list[str]:
    """List the workers that hold leases, dead ones included."""
    with read_transaction(engine) as connection:
        return leaseholders_in(connection)


def leaseholders_in(connection: Connection) -> list[str]:
    worker = tables.reading.c.worker
    holders = select(worker).where(IS_LEASED, worker.is_not(None)).distinct().order_by(worker)
    return list(connection.scalars(holders))


def _take_back(
    connection: Connection,
    condition: ColumnElement[bool],
    max_attempts: int,
    *,
    reason: str,
    chunk_limit: int | None = None,
) -> int:
    reading = tables.reading.c
    # Who waits for a row waits for a machine that froze with it. What is left out now comes next time.
    held = lock_readings(connection, condition, skip_locked=True)
    time = now(connection)
    was_alone = reading.lease_size <= 1
    is_last = and_(was_alone, reading.attempts + 1 >= max_attempts)
    half = chunk_limit or case((was_alone, 1), else_=reading.lease_size // 2)
    return change_readings(
        connection,
        reading.id.in_(held),
        status=case((is_last, Status.QUARANTINED), else_=waiting_status()),
        attempts=case((was_alone, reading.attempts + 1), else_=reading.attempts),
        chunk_limit=half,
        error=case((is_last, f"{reason}; `fumikura retry` tries it again"), else_=None),
        finished_at=case((is_last, time), (is_asked_for(), None), else_=time),
        **FREE,
    )


def waiting_status() -> ColumnElement[Status]:
    """Choose the status of a page that comes back: cancelled if all its runs are, else queued."""
    return case((is_asked_for(), Status.QUEUED), else_=Status.CANCELLED)


def _note_sweep(connection: Connection, time: datetime) -> datetime | None:
    """Note that somebody looks for expired leases now, and tell when anybody did so before."""
    gate = tables.gate.c
    last = connection.scalar(select(gate.next_at).where(gate.name == "sweep"))
    connection.execute(set_gate(connection, "sweep", time))
    return last


def _lost(n_workers: int, how: str | None = None) -> str:
    if how:
        return f"{n_workers} workers ended while they read this page alone, the last one {how}"
    return f"{n_workers} workers ended while they read this page alone"
