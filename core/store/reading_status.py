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
FREE: Mapping[str, Any] = {"announced_at": None, "worker": None, "lease_until": None, "lease_size": None}


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
    fresh = {**FREE, "attempts": 0, "chunk_limit": None, "error": None, "finished_at": None}
    return change_readings(connection, and_(*conditions), status=Status.QUEUED, **fresh)
