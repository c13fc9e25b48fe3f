"""Keep the scores of readings, also of those that were read before their truth was known."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, Engine, delete, insert, or_, select

from fumikura.core.page import Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.reading_status import lock_readings
from fumikura.core.store.relations import is_asked_by, is_done_too
from fumikura.core.store.rows import truth_digest
from fumikura.core.store.transactions import read_transaction, write_transaction


def unscored(engine: Engine, run_id: int) -> list[int]:
    """List the ids of a run's pages whose reading is done, but was not compared with their truth."""
    reading, truth, score = tables.reading.c, tables.truth.c, tables.score.c
    statement = (
        select(reading.page_id)
        .outerjoin_from(tables.truth, tables.reading, truth.page_id == reading.page_id)
        .outerjoin(tables.score, score.reading_id == reading.id)
        .where(
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
            replace_scores(connection, reading_id, scores, truth=truth)


def replace_scores(
    connection: Connection, reading_id: int, scores: Scores | None, *, truth: Truth | None
) -> None:
    """Do what `save_scores` does inside a transaction; None only takes the old scores away."""
    connection.execute(delete(tables.score).where(tables.score.c.reading_id == reading_id))
    if scores is not None and truth is not None:
        row = {"reading_id": reading_id, "truth_digest": truth_digest(truth), **asdict(scores)}
        connection.execute(insert(tables.score), row)
