"""This module asks whether a recipe's queue is empty: nothing waits, and nothing can come back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, exists, select

from fumikura.core.store import tables
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction


@dataclass(frozen=True, slots=True)
class Remaining:
    """This is what is left to be read.

    Attributes:
        of_recipe: whether a page of the recipe waits, or is in the hands of a worker, which may lose it.
        of_others: whether pages wait that only other weights can read; looked for where nothing is left
            of the recipe.
    """

    of_recipe: bool
    of_others: bool


def remaining(engine: Engine, recipe_digest: str) -> Remaining:
    """Look for what is left to be read by a recipe."""
    reading = tables.reading.c
    with read_transaction(engine) as connection:
        ids: dict[str, int] = dict(
            connection.execute(select(tables.recipe.c.digest, tables.recipe.c.id)).all()
        )
        mine = ids.pop(recipe_digest, None)

        def some(recipe_id: int | None, status: Status) -> bool:
            found = exists().where(reading.recipe_id == recipe_id, reading.status == status)
            return recipe_id is not None and bool(connection.scalar(select(found)))

        if some(mine, Status.QUEUED) or some(mine, Status.LEASED):
            return Remaining(of_recipe=True, of_others=False)
        return Remaining(of_recipe=False, of_others=any(some(other, Status.QUEUED) for other in ids.values()))
