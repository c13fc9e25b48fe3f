"""Ask what waits in the queue: the readings that are `queued`, in the order of their ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, ScalarSelect, Select, and_, func, select, tuple_

from fumikura.core.store import tables
from fumikura.core.store.leases import leaseholders_in
from fumikura.core.store.relations import IS_QUEUED
from fumikura.core.store.tables import Status
from fumikura.core.store.tallies import total
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
        some_wait = is_idle and _some_wait(connection, recipe_digest, run_id)
        return Glance(some_wait, tuple(leaseholders_in(connection)))


def n_waiting_pages(engine: Engine, recipe_digest: str, *, most: int) -> int:
    """Count the pages that wait for a recipe, but no further than to `most`."""
    with read_transaction(engine) as connection:
        return count_waiting(connection, recipe_digest, most=most)


def count_waiting(connection: Connection, recipe_digest: str, *, most: int) -> int:
    waiting = select(tables.reading.c.id).where(in_queue(connection, recipe_digest))
    first = waiting.order_by(*QUEUE_ORDER).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(first)).scalar_one()


def _some_wait(connection: Connection, recipe_digest: str, run_id: int | None) -> bool:
    if run_id is None:
        return count_waiting(connection, recipe_digest, most=1) > 0
    # Counted by triggers, however many others' pages wait, and however many of its own are done.
    queued = select(total(tables.run_tally.c.queued)).where(tables.run_tally.c.run_id == run_id)
    return connection.execute(queued).scalar_one() > 0


def in_queue(connection: Connection, recipe_digest: str, *, after: int = 0) -> ColumnElement[bool]:
    """Make the condition that a reading waits for a recipe, behind the one whose id is `after`."""
    reading = tables.reading.c
    recipe_id = _recipe_id(recipe_digest)
    if connection.dialect.name == "sqlite":
        return and_(IS_QUEUED, reading.recipe_id == recipe_id, reading.id > after)
    # Two bounds, for PostgreSQL must not see that all rows have the same recipe: it would know that
    # QUEUE_ORDER is that of the primary key, and by statistics from before the night take this for the
    # way to the first rows that wait, through every row that is done.
    begins_behind = tuple_(*QUEUE_ORDER) > tuple_(recipe_id, after)
    return and_(IS_QUEUED, begins_behind, reading.recipe_id <= recipe_id)


def waiting_of_run(
    connection: Connection, recipe_digest: str, run_id: int, n_wanted: int, *, after: int = 0
) -> list[int]:
    """List the first readings of a run that wait: some more than are wanted, if there are so many.

    What stands first in the queue is mostly of the run that is asked about. Where it is not, what others
    asked for before may be millions of pages: then the run's own pages are gone through.

    Args:
        after: only readings behind this one; of the run's own pages, only those behind its page.
    """
    most = 4 * n_wanted  # for some of them other workers of the run may just be claiming
    reading, asked = tables.reading.c, tables.run_page.c
    waiting = select(reading.id, reading.page_id).where(in_queue(connection, recipe_digest, after=after))
    first = waiting.order_by(*QUEUE_ORDER).limit(most).subquery()
    of_run = select(asked.run_id).where(asked.run_id == run_id, asked.page_id == first.c.page_id)
    looked = select(first.c.id, of_run.scalar_subquery().is_not(None).label("is_asked")).order_by(first.c.id)
    rows = connection.execute(looked).all()
    found = [row.id for row in rows if row.is_asked]
    if len(found) >= n_wanted or len(rows) < most or not _some_wait(connection, recipe_digest, run_id):
        return found
    walk = _walk_run(recipe_digest, run_id, after=after).limit(most)
    return list(connection.scalars(walk)) or found


def _walk_run(recipe_digest: str, run_id: int, *, after: int) -> Select[tuple[int]]:
    """Go through a run's pages, and choose the first readings of these that wait.

    A scalar subquery, lest a database begins with all that waits; and the run by two bounds, lest PostgreSQL
    takes the index of page_id, and goes through the pages of all runs.
    """
    reading, asked = tables.reading.c, tables.run_page.c
    behind = select(reading.page_id).where(reading.id == after).scalar_subquery()
    its_own = select(reading.id).where(
        reading.page_id == asked.page_id,
        reading.recipe_id == _recipe_id(recipe_digest),
        reading.status == Status.QUEUED,
    )
    walked = (
        select(its_own.scalar_subquery().label("id"))
        .where(asked.run_id >= run_id, asked.run_id <= run_id, asked.page_id > func.coalesce(behind, 0))
        .order_by(asked.run_id, asked.page_id)
        .offset(0)
        .subquery()
    )
    return select(walked.c.id).where(walked.c.id.is_not(None))


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
