"""Keep the scores of readings, also of those that were read before their truth was known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Engine, delete, insert, or_, select

from fumikura.core.page import Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.reading_status import lock_readings
from fumikura.core.store.relations import is_asked_by, is_done_too, is_near_run, readings_with_truth
from fumikura.core.store.rows import truth_digest
from fumikura.core.store.transactions import read_transaction, write_transaction


def unscored(engine: Engine, run_id: int) -> list[int]:
    """List the ids of a run's pages whose reading is done, but was not compared with their truth."""
    reading, truth, score = tables.reading.c, tables.truth.c, tables.score.c
    statement = (
        select(reading.page_id)
        .select_from(readings_with_truth)
        .where(
            is_near_run(truth.page_id, run_id),
            is_asked_by(run_id),
            is_done_too(),
            or_(score.truth_digest.is_(None), score.truth_digest != truth.digest),
        )
        .order_by(reading.id)
    )
    with read_transaction(engine) as connection:
        return list(connection.scalars(statement))


def save_scores(engine: Engine, reading_id: int, scores: Scores, *, truth: Truth) -> None:
    """Replace a reading's scores by a comparison with `truth`; what was forgotten meanwhile has none."""
    with write_transaction(engine) as connection:
        if lock_readings(connection, tables.reading.c.id == reading_id):
            connection.execute(delete(tables.score).where(tables.score.c.reading_id == reading_id))
            insert_scores(connection, [(reading_id, scores, truth)])


def insert_scores(connection: Connection, scored: Sequence[tuple[int, Scores, Truth]]) -> None:
    """Insert the scores of readings that have none: their ids, and the truths that they compare with."""
    rows = [
        {"reading_id": reading_id, "truth_digest": truth_digest(truth), **asdict(scores)}
        for reading_id, scores, truth in scored
    ]
    if rows:
        connection.execute(insert(tables.score), rows)
