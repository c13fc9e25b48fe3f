"""Choose who feeds the broker, and which waiting readings are announced to it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, func, or_, select, update

from fumikura.core.store import tables
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, now, read_transaction, set_gate, try_alone


def take_turn(engine: Engine, period_s: float, *, recipe_digest: str = "") -> bool:
    """Tell whether the caller feeds in this period: one of all who ask for the same recipe does.

    Recipes have turns of their own, as a feeder announces only what its workers can read.
    """
    name = f"feed {recipe_digest}"
    with brief_transaction(engine) as connection:
        if not try_alone(connection, name):
            return False
        time = now(connection)
        is_due = tables.gate.c.next_at <= time
        taken = set_gate(connection, name, time + timedelta(seconds=period_s), where=is_due)
        return connection.execute(taken.returning(tables.gate.c.name)).first() is not None


def announce(
    engine: Engine,
    *,
    recipe_digest: str,
    run_id: int | None = None,
    window: int,
    chunk_size: int,
    announce_again_s: float,
) -> list[list[int]]:
    """Choose chunks of reading ids to send to the broker, and note them as announced.

    Send them after this returns: a worker may be quicker than a transaction. Should
    that fail, they are announced again in time.

    Args:
        run_id: only pages of this run; None means all that wait for the recipe.
        window: chunks that may be announced and unclaimed at once.
        announce_again_s: an announcement that nobody claimed for so long is void.
    """
    reading = tables.reading.c
    with brief_transaction(engine) as connection:
        time = now(connection)
        void_since = time - timedelta(seconds=announce_again_s)
        waiting = and_(reading.status == Status.QUEUED, _is_wanted(recipe_digest, run_id))
        announced = and_(waiting, reading.announced_at > void_since)
        free = window - _n_outstanding(connection, announced, chunk_size)
        if free <= 0:
            return []
        rows = connection.execute(
            select(reading.id, reading.chunk_limit)
            .where(waiting, or_(reading.announced_at.is_(None), reading.announced_at <= void_since))
            .order_by(reading.id)
            .limit(free * chunk_size)
            .with_for_update(skip_locked=True)
        )
        chunks = _make_chunks(rows, chunk_size)[:free]
        _note_announced(connection, chunks, time)
        return chunks


def count_readings(engine: Engine, recipe_digest: str, statuses: Collection[Status]) -> dict[Status, int]:
    """Count the readings of a recipe in each of some statuses."""
    status = tables.reading.c.status
    counted = (
        select(status, func.count())
        .where(_is_wanted(recipe_digest, None), status.in_(statuses))
        .group_by(status)
    )
    with read_transaction(engine) as connection:
        found: dict[Status, int] = dict(connection.execute(counted).all())
    return {one: found.get(one, 0) for one in statuses}


def _is_wanted(recipe_digest: str, run_id: int | None) -> ColumnElement[bool]:
    recipe_id = select(tables.recipe.c.id).where(tables.recipe.c.digest == recipe_digest).scalar_subquery()
    of_recipe = tables.reading.c.recipe_id == recipe_id
    if run_id is None:
        return of_recipe
    # Asked of each of a few readings: `asked_by` lets SQLite list all pages of the run first.
    asked = tables.run_page.c
    is_asked = exists().where(asked.run_id == run_id, asked.page_id == tables.reading.c.page_id)
    return and_(of_recipe, is_asked)


def _n_outstanding(connection: Connection, announced: ColumnElement[bool], chunk_size: int) -> int:
    """Count the chunks that the unclaimed pages make, to the next whole one."""
    limit = tables.reading.c.chunk_limit
    counts = connection.execute(select(limit, func.count()).where(announced).group_by(limit))
    n_chunks: float = sum(n_pages / min(size or chunk_size, chunk_size) for size, n_pages in counts)
    return math.ceil(n_chunks)


def _make_chunks(rows: Iterable[tuple[int, int | None]], chunk_size: int) -> list[list[int]]:
    """Part ids into chunks, in their order; an id with a limit goes only among others with the same."""
    full: list[list[int]] = []
    open_chunks: dict[int, list[int]] = {}
    for reading_id, limit in rows:
        size = min(limit or chunk_size, chunk_size)
        chunk = open_chunks.setdefault(size, [])
        chunk.append(reading_id)
        if len(chunk) == size:
            full.append(open_chunks.pop(size))
    return sorted([*full, *open_chunks.values()])


def _note_announced(connection: Connection, chunks: list[list[int]], time: datetime) -> None:
    announced = [reading_id for chunk in chunks for reading_id in chunk]
    if announced:
        connection.execute(
            update(tables.reading).where(tables.reading.c.id.in_(announced)).values(announced_at=time)
        )
