"""Tell how many pages stand where, by counts that triggers of the database keep (migrations/versions).

So that no question counts millions of rows, and no way of changing a reading can forget to count: what a
trigger adds is part of the change. On PostgreSQL each connection adds to a row of its own; what counts is
the sum of these rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    cast,
    delete,
    func,
    insert,
    select,
)

from fumikura.core.store import tables
from fumikura.core.store.relations import readings_of_runs
from fumikura.core.store.tables import Status

#: Each run with the rows of its tally.
tallies_of_runs = tables.run.outerjoin(tables.run_tally)


def total(count: ColumnElement[int]) -> ColumnElement[int]:
    """Add up a count over the slots of a tally; 0 without any."""
    return cast(func.coalesce(func.sum(count), 0), BigInteger)


def count_readings(connection: Connection, *, recipe_digest: str | None = None) -> dict[Status, int]:
    """Tell how many readings stand in each status, of one recipe or of all."""
    tally = tables.recipe_tally
    counts = select(*(total(tally.c[status]).label(status) for status in Status))
    if recipe_digest is not None:
        counts = counts.join_from(tally, tables.recipe).where(tables.recipe.c.digest == recipe_digest)
    row = connection.execute(counts).one()
    return dict(zip(Status, row, strict=True))


def count_pages(connection: Connection) -> int:
    """Tell how many pages are known."""
    n_pages: int = connection.execute(select(total(tables.page_tally.c.pages))).scalar_one()
    return n_pages


def count_again(connection: Connection) -> None:
    """Make all tallies anew from the rows themselves, for whoever filled the tables past the triggers.

    That takes minutes for millions of readings, during which nothing else may write.
    """
    for tally in (tables.run_tally, tables.recipe_tally, tables.page_tally):
        connection.execute(delete(tally))
    reading, asked = tables.reading.c, tables.run_page.c
    of_status = {status.value: _number_of(reading.status == status) for status in Status}
    of_run = {"skipped": _number_of(asked.was_done), "characters": total(reading.n_characters)}
    runs = select(tables.run.c.id, *of_status.values(), *of_run.values()).select_from(readings_of_runs)
    _fill(connection, tables.run_tally, runs.group_by(tables.run.c.id), [*of_status, *of_run])
    recipes = select(tables.recipe.c.id, *of_status.values()).outerjoin_from(tables.recipe, tables.reading)
    _fill(connection, tables.recipe_tally, recipes.group_by(tables.recipe.c.id), list(of_status))
    n_pages = connection.execute(select(func.count()).select_from(tables.page)).scalar_one()
    connection.execute(insert(tables.page_tally), {"slot": 0, "pages": n_pages})


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _fill(connection: Connection, tally: Table, counted: Select[Any], counts: list[str]) -> None:
    owner = tally.primary_key.columns.keys()[0]
    for of, *numbers in connection.execute(counted).all():
        row = dict(zip(counts, numbers, strict=True))
        connection.execute(insert(tally), {owner: of, "slot": 0, **row})
