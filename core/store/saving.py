"""Save what a worker read of pages, or why it could not read one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, insert, select, update

from fumikura.core.page import Reading, Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows, update_rows
from fumikura.core.store.corrections import put_right
from fumikura.core.store.reading_status import FREE
from fumikura.core.store.relations import is_leased_to
from fumikura.core.store.rows import character_rows, mask_to_png, storable
from fumikura.core.store.scores import insert_scores
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, moment


@dataclass(frozen=True, slots=True)
class Result:
    """A result is what a worker read of one page that it holds.

    Attributes:
        truth: what `scores` compare with; they cannot be saved without.
    """

    reading_id: int
    reading: Reading
    scores: Scores | None = None
    truth: Truth | None = None

    def __post_init__(self) -> None:
        if self.scores is not None and self.truth is None:
            raise ValueError("scores can only be saved with the truth that they compare with")


def save_readings(engine: Engine, results: Sequence[Result], *, worker: str) -> set[int]:
    """Save all that was read of some pages, in one transaction.

    However many pages there are, the database is sent the same few statements.

    Returns:
        the ids of the readings that were saved; of a page that the worker no longer holds nothing is written.
    """
    by_id = {result.reading_id: result for result in results}
    with brief_transaction(engine) as connection:
        held = _lock_held(connection, list(by_id), worker)
        if not held:
            return set()
        _forget_earlier(connection, [row.id for row in held.values() if row.n_characters is not None])
        results = _put_right(connection, [by_id[reading_id] for reading_id in held], held)
        finished = _finished(connection, Status.DONE, worker)
        update_rows(connection, tables.reading, list(map(_reading_row, results)), **finished)
        characters = [character_rows(result.reading_id, result.reading.characters) for result in results]
        insert_rows(connection, tables.character, [row for page in characters for row in page])
        insert_scores(
            connection,
            [
                (result.reading_id, result.scores, result.truth)
                for result in results
                if result.scores is not None and result.truth is not None
            ],
        )
        _insert_suspicions(connection, results)
        _insert_leaves(connection, results)
        _set_page_sizes(connection, results, held)
    return set(held)


def save_reading(
    engine: Engine,
    reading_id: int,
    reading: Reading,
    *,
    worker: str,
    scores: Scores | None = None,
    truth: Truth | None = None,
) -> bool:
    """Save one page as `save_readings` does; False, and nothing is written, if it is not the worker's."""
    return bool(save_readings(engine, [Result(reading_id, reading, scores, truth)], worker=worker))


def save_failure(engine: Engine, reading_id: int, reason: str, *, worker: str) -> bool:
    """Note why a page cannot be read; without its lease write nothing, and return False."""
    reading = tables.reading.c
    with brief_transaction(engine) as connection:
        failed = {"error": storable(reason), **_finished(connection, Status.FAILED, worker)}
        its_own = (reading.id == reading_id, is_leased_to(worker))
        return connection.execute(update(tables.reading).where(*its_own).values(failed)).rowcount == 1


def _reading_row(result: Result) -> dict[str, Any]:
    reading = result.reading
    return {
        "id": result.reading_id,
        "n_characters": len(reading.characters),
        "mean_confidence": reading.mean_confidence,
        "timings_s": dict(reading.timings_s),
        "text": reading.text,
        "mask": mask_to_png(reading.mask),
    }


def _finished(connection: Connection, status: Status, worker: str) -> dict[str, Any]:
    return {
        **FREE,
        "status": status,
        "finished_at": moment(connection),
        "chunk_limit": None,
        "missed_on": None,
        # The row keeps the name of the worker that finished it.
        "worker": worker,
        **({"error": None} if status == Status.DONE else {}),
    }


def _lock_held(connection: Connection, reading_ids: Collection[int], worker: str) -> dict[int, Any]:
    """Lock those of some readings that the worker holds, in the order of their ids."""
    reading, page, correction = tables.reading.c, tables.page.c, tables.correction.c
    has_corrections = exists(select(correction.id).where(correction.page_id == page.id))
    held = (
        select(
            reading.id,
            reading.n_characters,
            reading.page_id,
            page.width,
            has_corrections.label("has_corrections"),
        )
        .join_from(tables.reading, tables.page)
        .where(reading.id.in_(reading_ids), is_leased_to(worker))
        .order_by(reading.id)
        .with_for_update(of=tables.reading)
    )
    return {row.id: row for row in connection.execute(held).all()}


def _forget_earlier(connection: Connection, reading_ids: Sequence[int]) -> None:
    """Delete what hangs on readings that were saved before; there are hardly ever any."""
    if reading_ids:
        for table in (
            tables.character,
            tables.score,
            tables.suspicion,
            tables.leaf,
            tables.corrected_reading,
        ):
            connection.execute(delete(table).where(table.c.reading_id.in_(reading_ids)))


def _put_right(connection: Connection, results: Sequence[Result], held: Mapping[int, Any]) -> list[Result]:
    """Let the readings of pages that people put right say what they said."""
    touched = {
        result.reading_id: (held[result.reading_id].page_id, result.reading)
        for result in results
        if held[result.reading_id].has_corrections
    }
    right = put_right(connection, touched) if touched else {}
    return [replace(result, reading=right.get(result.reading_id, result.reading)) for result in results]


def _insert_suspicions(connection: Connection, results: Sequence[Result]) -> None:
    rows = [
        {"reading_id": result.reading_id, "reasons": ", ".join(result.reading.suspicions)}
        for result in results
        if result.reading.suspicions
    ]
    if rows:
        connection.execute(insert(tables.suspicion), rows)


def _insert_leaves(connection: Connection, results: Sequence[Result]) -> None:
    rows = [
        {"reading_id": result.reading_id, "number": number, **asdict(leaf)}
        for result in results
        for number, leaf in enumerate(result.reading.leaves)
    ]
    if rows:
        connection.execute(insert(tables.leaf), rows)


def _set_page_sizes(connection: Connection, results: Sequence[Result], held: Mapping[int, Any]) -> None:
    sizes = {
        held[result.reading_id].page_id: (result.reading.width, result.reading.height)
        for result in results
        if held[result.reading_id].width is None
    }
    # In order, for two workers may read the same pages by other recipes.
    rows = [
        {"id": page_id, "width": width, "height": height}
        for page_id, (width, height) in sorted(sizes.items())
    ]
    update_rows(connection, tables.page, rows, tables.page.c.width.is_(None))
