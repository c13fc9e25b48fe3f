"""Add runs, pages and the readings that wait for a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, select

from fumikura.core.page import PageReference, Truth
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store import tables
from fumikura.core.store.reading_status import queue_again
from fumikura.core.store.rows import storable, truth_row
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import now, serialize_writers, upsert, write_transaction

#: Pages in one transaction: few enough that workers can write in between.
PAGES_PER_TRANSACTION = 1000

#: What a run does not ask for again by itself.
_STANDS = (Status.DONE, Status.QUARANTINED)
_STARTS_AGAIN = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Added:
    """This counts the distinct pages that a run asked for, by what becomes of them.

    Attributes:
        n_queued: to be read, or being read already for another run.
        n_done: read before; the run skips them.
        n_quarantined: left alone until `retry`.
    """

    n_pages: int
    n_queued: int
    n_done: int
    n_quarantined: int


def add_run(engine: Engine, recipe: Recipe, *, command: str) -> int:
    """Note a request to read with a recipe, and give its id."""
    with write_transaction(engine) as connection:
        time = now(connection)
        row = {**recipe.as_dict(), "digest": recipe.digest, "created_at": time}
        connection.execute(upsert(connection, tables.recipe).on_conflict_do_nothing(), row)
        known = select(tables.recipe.c.id).where(tables.recipe.c.digest == recipe.digest).scalar_subquery()
        statement = insert(tables.run).values(recipe_id=known, command=storable(command), created_at=time)
        run_id: int = connection.execute(statement.returning(tables.run.c.id)).scalar_one()
        return run_id


def add_pages(
    engine: Engine, run_id: int, pages: Sequence[PageReference], *, truths: Mapping[str, Truth] | None = None
) -> Added:
    """Queue a reading for each page that the run's recipe has not read.

    Failed and cancelled readings are queued again, quarantined ones are not. Pages
    come into the queue in the order given. Adding them twice changes nothing, and
    many at once may add the same.

    Args:
        pages: one for each place of a page: a digest may stand there several times.
        truths: by digest; a page's older truth is replaced.
    """
    places: dict[str, list[PageReference]] = {}
    for page in pages:
        places.setdefault(page.digest, []).append(page)
    counts = dict.fromkeys(Status, 0)
    digests = iter(places)
    while batch := list(islice(digests, PAGES_PER_TRANSACTION)):
        with write_transaction(engine) as connection:
            # Two adders of the same pages would each wait for the other's rows.
            serialize_writers(connection, "add pages")
            page_ids = _add_pages(connection, [places[digest] for digest in batch])
            _add_truths(connection, page_ids, truths or {})
            for status in _add_readings(connection, run_id, list(page_ids.values())):
                counts[status] += 1
    n_stand = sum(counts[status] for status in _STANDS)
    return Added(len(places), len(places) - n_stand, counts[Status.DONE], counts[Status.QUARANTINED])


def _add_pages(connection: Connection, groups: Sequence[Sequence[PageReference]]) -> dict[str, int]:
    """Add pages and places that are new; return all page ids by digest, in the order given."""
    time = now(connection)
    wanted = select(tables.page.c.digest, tables.page.c.id).where(
        tables.page.c.digest.in_([group[0].digest for group in groups])
    )
    known = dict(connection.execute(wanted).all())
    if new := [_page_row(group[0], time) for group in groups if group[0].digest not in known]:
        connection.execute(insert(tables.page), new)
        known = dict(connection.execute(wanted).all())
    sources = {(known[page.digest], page.archive, page.member): None for group in groups for page in group}
    statement = upsert(connection, tables.page_source)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["page_id", "archive", "member"], set_={"seen_at": statement.excluded.seen_at}
        ),
        [
            {"page_id": page_id, "archive": archive, "member": member, "seen_at": time}
            for page_id, archive, member in sources
        ],
    )
    return {group[0].digest: known[group[0].digest] for group in groups}


def _page_row(page: PageReference, time: datetime) -> dict[str, Any]:
    return {
        "digest": page.digest,
        "name": page.name,
        "book": page.book,
        "size_bytes": page.size_bytes,
        "added_at": time,
    }


def _add_truths(connection: Connection, page_ids: Mapping[str, int], truths: Mapping[str, Truth]) -> None:
    rows = [
        {"page_id": page_id, **truth_row(truths[digest])}
        for digest, page_id in page_ids.items()
        if digest in truths
    ]
    if not rows:
        return
    statement = upsert(connection, tables.truth)
    new = statement.excluded
    replaced = {name: new[name] for name in ("digest", "is_partial", "boxes", "mask")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["page_id"], set_=replaced, where=tables.truth.c.digest != new.digest
        ),
        rows,
    )


def _add_readings(connection: Connection, run_id: int, page_ids: Sequence[int]) -> list[Status]:
    """Queue readings that are new or begin again; return where each stood before."""
    reading = tables.reading.c
    recipe_id = connection.execute(
        select(tables.run.c.recipe_id).where(tables.run.c.id == run_id)
    ).scalar_one()
    asked_for = and_(reading.recipe_id == recipe_id, reading.page_id.in_(page_ids))
    found = dict(connection.execute(select(reading.page_id, reading.status).where(asked_for)).all())
    new = [page_id for page_id in page_ids if page_id not in found]
    if new:
        row = {"recipe_id": recipe_id, "status": Status.QUEUED, "attempts": 0}
        connection.execute(insert(tables.reading), [{"page_id": page_id, **row} for page_id in new])
    queue_again(connection, asked_for, reading.status.in_(_STARTS_AGAIN))
    connection.execute(
        upsert(connection, tables.run_page).on_conflict_do_nothing(),
        [
            {"run_id": run_id, "page_id": page_id, "was_done": found.get(page_id) == Status.DONE}
            for page_id in page_ids
        ],
    )
    return [found.get(page_id, Status.QUEUED) for page_id in page_ids]
