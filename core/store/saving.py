"""Save what a worker read of a page, or why it could not read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from fumikura.core.page import Reading, Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows
from fumikura.core.store.reading_status import FREE
from fumikura.core.store.relations import is_leased_to
from fumikura.core.store.rows import character_rows, mask_to_png, storable
from fumikura.core.store.scores import replace_scores
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, moment


def save_reading(
    engine: Engine,
    reading_id: int,
    reading: Reading,
    *,
    worker: str,
    scores: Scores | None = None,
    truth: Truth | None = None,
) -> bool:
    """Save all that was read of a page, in one transaction.

    Args:
        truth: what `scores` compare with; they cannot be saved without.

    Returns:
        False, and nothing is written, if the worker no longer holds the page.
    """
    if scores is not None and truth is None:
        raise ValueError("scores can only be saved with the truth that they compare with")
    mask = mask_to_png(reading.mask)
    with brief_transaction(engine) as connection:
        outcome = {
            "status": Status.DONE,
            "error": None,
            "n_characters": len(reading.characters),
            "mean_confidence": reading.mean_confidence,
            "timings_s": dict(reading.timings_s),
            "text": reading.text,
            "mask": mask,
        }
        if not _finish(connection, reading_id, worker, outcome):
            return False
        connection.execute(delete(tables.character).where(tables.character.c.reading_id == reading_id))
        insert_rows(connection, tables.character, character_rows(reading_id, reading.characters))
        replace_scores(connection, reading_id, scores, truth=truth)
        _replace_suspicions(connection, reading_id, reading)
        _set_page_size(connection, reading_id, reading)
    return True


def save_failure(engine: Engine, reading_id: int, reason: str, *, worker: str) -> bool:
    """Note why a page cannot be read; without its lease write nothing, and return False."""
    with brief_transaction(engine) as connection:
        outcome = {"status": Status.FAILED, "error": storable(reason)}
        return _finish(connection, reading_id, worker, outcome)


def _finish(connection: Connection, reading_id: int, worker: str, outcome: Mapping[str, Any]) -> bool:
    reading = tables.reading.c
    finished = connection.execute(
        update(tables.reading)
        .where(reading.id == reading_id, is_leased_to(worker))
        # The row keeps the name of the worker that finished it.
        .values(
            {
                **FREE,
                **outcome,
                "finished_at": moment(connection),
                "chunk_limit": None,
                "missed_on": None,
                "worker": worker,
            }
        )
    )
    return finished.rowcount == 1


def _replace_suspicions(connection: Connection, reading_id: int, reading: Reading) -> None:
    connection.execute(delete(tables.suspicion).where(tables.suspicion.c.reading_id == reading_id))
    if reading.suspicions:
        row = {"reading_id": reading_id, "reasons": ", ".join(reading.suspicions)}
        connection.execute(insert(tables.suspicion), row)


def _set_page_size(connection: Connection, reading_id: int, reading: Reading) -> None:
    page = tables.page.c
    page_id = select(tables.reading.c.page_id).where(tables.reading.c.id == reading_id).scalar_subquery()
    connection.execute(
        update(tables.page)
        .where(page.id == page_id, page.width.is_(None))
        .values(width=reading.width, height=reading.height)
    )
