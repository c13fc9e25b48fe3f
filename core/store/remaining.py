"""This module asks whether a recipe's queue is empty: nothing waits, and nothing can come back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select

from fumikura.core.store import tables
from fumikura.core.store.queue import count_waiting
from fumikura.core.store.relations import IS_LEASED
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
        digests = list(connection.scalars(select(tables.recipe.c.digest)))

        def waits(digest: str) -> bool:
            return count_waiting(connection, digest, most=1) > 0

        of_recipe = tables.recipe.c.digest == recipe_digest
        in_hand = select(reading.id).join(tables.recipe).where(IS_LEASED, of_recipe)
        if waits(recipe_digest) or connection.scalar(in_hand.limit(1)) is not None:
            return Remaining(of_recipe=True, of_others=False)
        of_others = any(waits(digest) for digest in digests if digest != recipe_digest)
        return Remaining(of_recipe=False, of_others=of_others)
