"""Lease waiting pages to a worker, and tell it where their images lie."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, select, update

from fumikura.core.page import Truth
from fumikura.core.store import tables
from fumikura.core.store.missing import is_not_missed_on
from fumikura.core.store.queue import QUEUE_ORDER, in_queue, waiting_of_run
from fumikura.core.store.relations import is_leased_to, newest_run, newest_source
from fumikura.core.store.rows import row_to_truth
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, moment, read_transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim gives one page to one worker, and tells where its image was seen last.

    Attributes:
        chunk_limit: after a lost worker, at most so many pages may be in the hands of the next one
            together with this page; None means any number.
        run_id: the newest run that asks for it.
    """

    reading_id: int
    page_id: int
    archive: str
    member: str
    digest: str
    size_bytes: int
    truth: Truth | None
    chunk_limit: int | None = None
    run_id: int | None = None


def claim(
    engine: Engine,
    *,
    recipe_digest: str,
    worker: str,
    lease_s: float,
    n_pages: int,
    held: Collection[int] = (),
    after: int = 0,
    run_id: int | None = None,
    host: str | None = None,
) -> list[Claim]:
    """Lease to a worker the next pages that wait for a recipe, in the order of their ids.

    The first of them decides how many come: a page that was in the hands of a lost worker comes only to one
    that then holds no more than its `chunk_limit`. Nothing comes if nothing waits, or if the worker holds too
    much for what is next. What it holds without knowing comes before all else, so that a claim can be
    repeated whose answer was lost.

    Args:
        n_pages: at most so many.
        held: readings that the worker knows it holds.
        after: only readings behind this one.
        run_id: only pages of this run; None means all.
        host: leave out pages that this host missed.
    """
    with brief_transaction(engine) as connection:
        claimed = _lost_answer(connection, worker, held)
        if not claimed:
            waiting = _waiting(connection, recipe_digest, n_pages, run_id=run_id, after=after)
            if host is not None:
                waiting = waiting.where(is_not_missed_on(host))
            claimed = _next_in_queue(connection, waiting, n_pages, n_held=len(held))
        if not claimed:
            return []
        until = moment(connection) + timedelta(seconds=lease_s)
        _lease(connection, claimed, worker, until=until, held=held)
    # Not before the rows are everybody's again: truths are large, see `brief_transaction`.
    return _claims(engine, claimed)


def _lost_answer(connection: Connection, worker: str, held: Collection[int]) -> list[int]:
    """List what is leased to the worker without its knowledge."""
    reading = tables.reading.c
    unknown = select(reading.id).where(is_leased_to(worker), reading.id.not_in(held))
    return list(connection.scalars(unknown.order_by(reading.id)))


def _waiting(
    connection: Connection, recipe_digest: str, n_pages: int, *, run_id: int | None, after: int
) -> Select[tuple[int, int | None]]:
    """Make the statement for what waits, the first in the queue first."""
    reading = tables.reading.c
    waiting = select(reading.id, reading.chunk_limit)
    if run_id is None:
        return waiting.where(in_queue(connection, recipe_digest, after=after)).order_by(*QUEUE_ORDER)
    first = waiting_of_run(connection, recipe_digest, run_id, n_pages, after=after)
    # Said so that a database goes by their ids, and not along all that waits.
    still_waits = func.coalesce(reading.status, "") == Status.QUEUED
    return waiting.where(reading.id.in_(first), still_waits).order_by(reading.id)


def _next_in_queue(
    connection: Connection, waiting: Select[tuple[int, int | None]], n_pages: int, *, n_held: int
) -> list[int]:
    """Lock what waits first, and choose of it what may come together."""
    # Rows that another worker is just claiming are not worth waiting for.
    rows = connection.execute(waiting.limit(n_pages).with_for_update(skip_locked=True)).all()
    if not rows:
        return []
    most = n_pages if rows[0].chunk_limit is None else min(n_pages, rows[0].chunk_limit - n_held)
    fit = [row.id for row in rows if row.chunk_limit is None or row.chunk_limit >= n_held + most]
    return fit[: max(0, most)]


def _lease(
    connection: Connection, claimed: Sequence[int], worker: str, *, until: Any, held: Collection[int]
) -> None:
    reading, n_together = tables.reading.c, len(held) + len(claimed)
    lease = {"status": Status.LEASED, "worker": worker, "lease_until": until, "lease_size": n_together}
    connection.execute(update(tables.reading).where(reading.id.in_(claimed)).values(lease))
    if len(held) == 1:
        # Claimed as all that the worker held, this page is not alone any more.
        was_alone = and_(reading.id.in_(held), is_leased_to(worker), reading.lease_size == 1)
        connection.execute(update(tables.reading).where(was_alone).values(lease_size=n_together))


def _claims(engine: Engine, reading_ids: Sequence[int]) -> list[Claim]:
    reading, page, source, truth = tables.reading.c, tables.page.c, tables.page_source.c, tables.truth.c
    columns = {
        "reading_id": reading.id,
        "page_id": page.id,
        "archive": source.archive,
        "member": source.member,
        "digest": page.digest,
        "size_bytes": page.size_bytes,
        "chunk_limit": reading.chunk_limit,
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
