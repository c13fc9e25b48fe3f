"""Ask what waits in the queue: the readings that are `queued`, in the order of their ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, ScalarSelect, and_, func, select, tuple_

from fumikura.core.store import tables
from fumikura.core.store.leases import leaseholders_in
from fumikura.core.store.relations import IS_QUEUED
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction

#: What the queue is ordered by, to be asked for together with `in_queue`.
QUEUE_ORDER = (tables.reading.c.recipe_id, tables.reading.c.id)


@dataclass(frozen=True, slots=True)
class Glance:
    """This is what a launcher has to know to wake workers, and to take pages back from dead ones.

    Attributes:
        some_wait: whether a page of the recipe waits.
        holders: the workers that hold leases, whatever their recipe.
    """

    some_wait: bool
    holders: tuple[str, ...]


def glance(engine: Engine, recipe_digest: str, *, run_id: int | None = None, is_idle: bool = True) -> Glance:
    """Look whether a page waits for a recipe, or for one run of it, and who holds leases.

    Args:
        is_idle: whether anybody could read a page; if not, none is looked for.
    """
    with read_transaction(engine) as connection:
        some_wait = is_idle and count_waiting(connection, recipe_digest, run_id=run_id, most=1) > 0
        return Glance(some_wait, tuple(leaseholders_in(connection)))


def n_waiting_pages(engine: Engine, recipe_digest: str, *, most: int) -> int:
    """Count the pages that wait for a recipe, but no further than to `most`."""
    with read_transaction(engine) as connection:
        return count_waiting(connection, recipe_digest, most=most)


def count_waiting(connection: Connection, recipe_digest: str, *, most: int, run_id: int | None = None) -> int:
    waiting = select(tables.reading.c.id).where(in_queue(connection, recipe_digest, run_id=run_id))
    first = waiting.order_by(*QUEUE_ORDER).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(first)).scalar_one()


def in_queue(
    connection: Connection, recipe_digest: str, *, run_id: int | None = None, after: int = 0
) -> ColumnElement[bool]:
    """Make the condition that a reading waits for a recipe, behind the one whose id is `after`.

    Args:
        run_id: only pages of this run; None means all.
    """
    reading = tables.reading.c
    recipe_id = _recipe_id(recipe_digest)
    if connection.dialect.name == "sqlite":
        waits = and_(IS_QUEUED, reading.recipe_id == recipe_id, reading.id > after)
    else:
        # Two bounds, for PostgreSQL must not see that all rows have the same recipe: it would know that
        # QUEUE_ORDER is that of the primary key, and by statistics from before the night take this for the
        # way to the first rows that wait, through every row that is done.
        begins_behind = tuple_(*QUEUE_ORDER) > tuple_(recipe_id, after)
        waits = and_(IS_QUEUED, begins_behind, reading.recipe_id <= recipe_id)
    if run_id is None:
        return waits
    # Asked of one waiting reading after the other, until there are enough. `asked_by` lets SQLite list all
    # pages of the run first, and an EXISTS is to PostgreSQL a join of all that waits with all of the run.
    asked = tables.run_page.c
    of_run = select(asked.run_id).where(asked.run_id == run_id, asked.page_id == reading.page_id)
    return and_(waits, of_run.scalar_subquery().is_not(None))


def count_readings(engine: Engine, recipe_digest: str, statuses: Collection[Status]) -> dict[Status, int]:
    """Count the readings of a recipe in each of some statuses."""
    reading = tables.reading.c
    counted = (
        select(reading.status, func.count())
        .where(reading.recipe_id == _recipe_id(recipe_digest), reading.status.in_(statuses))
        .group_by(reading.status)
    )
    with read_transaction(engine) as connection:
        found: dict[Status, int] = dict(connection.execute(counted).all())
    return {one: found.get(one, 0) for one in statuses}


def _recipe_id(digest: str) -> ScalarSelect[int]:
    return select(tables.recipe.c.id).where(tables.recipe.c.digest == digest).scalar_subquery()
