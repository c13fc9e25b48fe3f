"""Lease waiting pages to a worker, and tell it where their images lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, and_, or_, select, update

from fumikura.core.page import Truth
from fumikura.core.store import tables
from fumikura.core.store.relations import is_leased_to, newest_run, newest_source
from fumikura.core.store.rows import row_to_truth
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, moment, read_transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim gives one page to one worker, and tells where its image was seen last.

    Attributes:
        run_id: the newest run that asks for it.
    """

    reading_id: int
    page_id: int
    archive: str
    member: str
    digest: str
    size_bytes: int
    truth: Truth | None
    run_id: int | None = None


def claim(
    engine: Engine, reading_ids: Sequence[int], *, recipe_digest: str, worker: str, lease_s: float
) -> list[Claim]:
    """Lease to a worker those of some readings that still wait, in the order of their ids.

    Readings of another recipe, and such as are done or another worker's, drop out: a
    message may come twice, late, or to the wrong worker. So do readings that are to come in
    smaller chunks since a worker was lost: a broker may bring back at once, and as it was, the
    message that ended it. What this worker holds already comes again, so that a claim can be
    repeated whose answer was lost.
    """
    reading = tables.reading.c
    may_come = or_(reading.chunk_limit.is_(None), reading.chunk_limit >= len(reading_ids))
    wanted = (
        select(reading.id)
        .join(tables.recipe)
        .where(
            reading.id.in_(reading_ids),
            or_(and_(reading.status == Status.QUEUED, may_come), is_leased_to(worker)),
            tables.recipe.c.digest == recipe_digest,
        )
        .order_by(reading.id)
        # Rows that another worker is just claiming are not worth waiting for.
        .with_for_update(of=tables.reading, skip_locked=True)
    )
    with brief_transaction(engine) as connection:
        claimed = list(connection.scalars(wanted))
        if not claimed:
            return []
        connection.execute(
            update(tables.reading)
            .where(reading.id.in_(claimed))
            .values(
                status=Status.LEASED,
                worker=worker,
                lease_until=moment(connection) + timedelta(seconds=lease_s),
                lease_size=len(claimed),
            )
        )
    # Not before the rows are everybody's again: truths are large, see `brief_transaction`.
    return _claims(engine, claimed)


def _claims(engine: Engine, reading_ids: Sequence[int]) -> list[Claim]:
    reading, page, source, truth = tables.reading.c, tables.page.c, tables.page_source.c, tables.truth.c
    columns = {
        "reading_id": reading.id,
        "page_id": page.id,
        "archive": source.archive,
        "member": source.member,
        "digest": page.digest,
        "size_bytes": page.size_bytes,
        "run_id": newest_run(),
    }
    statement = (
        select(
            *(column.label(name) for name, column in columns.items()),
            truth.boxes,
            truth.mask,
            truth.is_partial,
            truth.text,
            truth.lines,
        )
        .join_from(tables.reading, tables.page)
        .join(tables.page_source, source.id == newest_source())
        .outerjoin(tables.truth, truth.page_id == page.id)
        .where(reading.id.in_(reading_ids))
        .order_by(reading.id)
    )
    with read_transaction(engine) as connection:
        rows = connection.execute(statement).all()
    return [
        Claim(
            truth=row_to_truth(row) if row.is_partial is not None else None,
            **{name: getattr(row, name) for name in columns},
        )
        for row in rows
    ]
