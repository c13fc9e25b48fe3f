"""Note on which hosts the image of a page was not found, so that it goes to others before it fails.

A machine without its mount misses pages faster than others read them. A page that one host missed waits
for another; it fails when several hosts missed it, or all that there are.
"""

from __future__ import annotations

from enum import Enum, auto

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, func, not_, or_, select, update

from fumikura.core.store import tables
from fumikura.core.store.leases import waiting_status
from fumikura.core.store.reading_status import FREE, change_readings, lock_readings
from fumikura.core.store.relations import IS_QUEUED, is_asked_for, is_leased_to
from fumikura.core.store.rows import storable
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, now
from fumikura.core.store.workers import live_hosts

#: A page fails when so many hosts missed it.
ENOUGH_HOSTS = 3


class Miss(Enum):
    """This is what became of a page that was not found on a host."""

    #: No other host has missed it so far: the fault may be this host's.
    FIRST = auto()
    #: Another one missed it too, and it goes on to the next.
    SHARED = auto()
    #: Several hosts missed it, or all that live.
    FAILED = auto()
    #: It failed, as there is no other host to ask.
    ALONE = auto()
    #: Another worker has it by now.
    LOST = auto()


def note_miss(
    engine: Engine, reading_id: int, reason: str, *, worker: str, host: str, recipe_digest: str
) -> Miss:
    """Note that a worker does not find the image of a page that it holds, and give the page to others.

    Args:
        host: on which the worker runs.
        recipe_digest: whose live workers are the others.
    """
    reading = tables.reading.c
    with brief_transaction(engine) as connection:
        if not lock_readings(connection, and_(is_leased_to(worker), reading.id == reading_id)):
            return Miss.LOST
        noted = connection.scalar(select(reading.missed_on).where(reading.id == reading_id))
        before = set((noted or "").split("\n")) - {"", host}
        missed = sorted(before | {host})
        others = live_hosts(connection, recipe_digest) - set(missed)
        if others and len(missed) < ENOUGH_HOSTS:
            _give_on(connection, reading_id, missed)
            return Miss.SHARED if before else Miss.FIRST
        _fail(connection, reading_id, reason, missed, worker=worker)
        return Miss.FAILED if before else Miss.ALONE


def forgive(engine: Engine, *, recipe_digest: str, host: str) -> int:
    """Let a host try the waiting pages again that it missed; return how many there are."""
    reading = tables.reading.c
    recipe_id = select(tables.recipe.c.id).where(tables.recipe.c.digest == recipe_digest).scalar_subquery()
    with brief_transaction(engine) as connection:
        missed = and_(IS_QUEUED, reading.recipe_id == recipe_id, _was_missed_on(host))
        rest = func.replace(reading.missed_on, f"\n{host}\n", "\n")
        return change_readings(connection, missed, skip_locked=True, missed_on=func.nullif(rest, "\n"))


def is_not_missed_on(host: str) -> ColumnElement[bool]:
    """Make the condition that a host has not missed a reading's page, as far as anybody knows."""
    return or_(tables.reading.c.missed_on.is_(None), not_(_was_missed_on(host)))


def _was_missed_on(host: str) -> ColumnElement[bool]:
    return tables.reading.c.missed_on.contains(f"\n{host}\n", autoescape=True)


def _give_on(connection: Connection, reading_id: int, missed: list[str]) -> None:
    time = now(connection)
    values = {
        **FREE,
        "status": waiting_status(),
        "finished_at": case((is_asked_for(), None), else_=time),
        "missed_on": "\n".join(["", *missed, ""]),
    }
    connection.execute(update(tables.reading).where(tables.reading.c.id == reading_id).values(values))


def _fail(connection: Connection, reading_id: int, reason: str, missed: list[str], *, worker: str) -> None:
    where = f"not found on {', '.join(missed)}: " if len(missed) > 1 else ""
    values = {
        **FREE,
        "status": Status.FAILED,
        "error": storable(where + reason),
        "finished_at": now(connection),
        "chunk_limit": None,
        "missed_on": None,
        "worker": worker,
    }
    connection.execute(update(tables.reading).where(tables.reading.c.id == reading_id).values(values))
