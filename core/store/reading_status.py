"""Change the status of readings, many at once.

Rows are locked in the order of their ids, so that no two workers of PostgreSQL wait for each other's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from fumikura.core.store import tables
from fumikura.core.store.tables import Status

#: What a reading holds that is in nobody's hands.
FREE: Mapping[str, Any] = {"worker": None, "lease_until": None, "lease_size": None}


#: Readings that are locked by their ids: a statement takes 32,766 values.
MOST_LOCKED = 10_000


def lock_readings(
    connection: Connection,
    condition: ColumnElement[bool],
    *,
    skip_locked: bool = False,
    limit: int = MOST_LOCKED,
) -> list[int]:
    """Lock readings until the transaction ends, and return their ids in order.

    For whoever then decides by what is asked for: a statement that has waited for a row sees it as it is,
    but other tables as they were before it waited. So lock first, and decide in the next statement.
    """
    reading = tables.reading.c
    wanted = select(reading.id).where(condition).order_by(reading.id).limit(limit)
    locked = wanted.with_for_update(of=tables.reading, skip_locked=skip_locked)
    return list(connection.scalars(locked))


def change_readings(
    connection: Connection, condition: ColumnElement[bool], *, skip_locked: bool = False, **values: Any
) -> int:
    """Update readings, locked in the order of their ids; return how many.

    Args:
        skip_locked: leave out rows that somebody is just changing.
    """
    reading = tables.reading.c
    locked = select(reading.id).where(condition).order_by(reading.id).with_for_update(skip_locked=skip_locked)
    return connection.execute(update(tables.reading).where(reading.id.in_(locked)).values(**values)).rowcount


def queue_again(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """Queue finished readings as if for the first time; return how many."""
    fresh = {**FREE, "attempts": 0, "chunk_limit": None, "error": None}
    fresh |= {"finished_at": None, "missed_on": None}
    return change_readings(connection, and_(*conditions), status=Status.QUEUED, **fresh)
