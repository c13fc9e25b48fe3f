"""Add runs, pages and the readings that wait for a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, select, update

from fumikura.core.errors import FumikuraError
from fumikura.core.page import PageReference, Truth
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store import tables
from fumikura.core.store.places import note_places
from fumikura.core.store.reading_status import lock_readings, queue_again
from fumikura.core.store.rows import storable, truth_row
from fumikura.core.store.stand_ins import take_up
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import now, request_transaction, upsert, write_transaction

#: Pages in one transaction: few enough that workers can write in between.
PAGES_PER_TRANSACTION = 1000

#: What a run does not ask for again by itself.
_STANDS = (Status.DONE, Status.QUARANTINED)
_STARTS_AGAIN = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Added:
    """This counts distinct pages that a run asks for, by what becomes of them.

    Attributes:
        n_queued: to be read, or being read already for another run.
        n_done: read before; the run skips them.
        n_quarantined: left alone until `retry`.
    """

    n_pages: int
    n_queued: int
    n_done: int
    n_quarantined: int

    def and_more(self, more: Added) -> Added:
        """Count other pages too."""
        sums = (mine + others for mine, others in zip(astuple(self), astuple(more), strict=True))
        return Added(*sums)


def add_run(engine: Engine, recipe: Recipe, *, command: str) -> int:
    """Note a request to read with a recipe, and give its id."""
    with request_transaction(engine) as connection:
        time = now(connection)
        known = select(tables.recipe.c.id).where(tables.recipe.c.digest == recipe.digest)
        recipe_id = connection.scalar(known)
        if recipe_id is None:
            row = {**recipe.as_dict(), "digest": recipe.digest, "created_at": time}
            recipe_id = connection.scalar(insert(tables.recipe).returning(tables.recipe.c.id), row)
            if recipe.learnt_pages:
                learnt = [
                    {"recipe_id": recipe_id, "digest": digest} for digest in sorted(recipe.learnt_pages)
                ]
                connection.execute(insert(tables.learnt_page), learnt)
        row = {"recipe_id": recipe_id, "command": storable(command), "created_at": time}
        run_id: int = connection.execute(insert(tables.run).returning(tables.run.c.id), row).scalar_one()
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

    Returns:
        What becomes of the pages for which the run had not asked before.

    Raises:
        FumikuraError: the run was cancelled or forgotten meanwhile. What was added before stays.
    """
    counts = dict.fromkeys(Status, 0)
    waiting = iter(pages)
    while batch := list(islice(waiting, PAGES_PER_TRANSACTION)):
        with request_transaction(engine) as connection:
            recipe_id = _recipe_of_open_run(connection, run_id)
            take_up(connection, batch)
            page_ids = _add_pages(connection, batch)
            _add_truths(connection, page_ids, truths or {})
            stood = _add_readings(connection, recipe_id, list(page_ids.values()))
            for page_id in _ask_for(connection, run_id, stood):
                counts[stood[page_id]] += 1
    n_stand = sum(counts[status] for status in _STANDS)
    n_pages = sum(counts.values())
    return Added(n_pages, n_pages - n_stand, counts[Status.DONE], counts[Status.QUARANTINED])


def finish_listing(engine: Engine, run_id: int) -> None:
    """Note that all pages of a run were added."""
    run = tables.run.c
    with write_transaction(engine) as connection:
        listed = update(tables.run).where(run.id == run_id, run.listed_at.is_(None))
        connection.execute(listed.values(listed_at=now(connection)))


def _recipe_of_open_run(connection: Connection, run_id: int) -> int:
    """Give the recipe of a run to which pages may be added."""
    run = tables.run.c
    found = connection.execute(select(run.recipe_id, run.cancelled_at).where(run.id == run_id)).first()
    if found is None or found.cancelled_at is not None:
        what = "forgotten" if found is None else "cancelled"
        raise FumikuraError(
            f"run {run_id} was {what} while its pages were being added; to go on, give the same command again"
        )
    recipe_id: int = found.recipe_id
    return recipe_id


def _add_pages(connection: Connection, pages: Sequence[PageReference]) -> dict[str, int]:
    """Add pages and places that are new; return all page ids by digest, in the order given."""
    time = now(connection)
    by_digest = {page.digest: page for page in reversed(pages)}  # of two places the first names the page
    wanted = select(tables.page.c.digest, tables.page.c.id).where(tables.page.c.digest.in_(by_digest))
    known = dict(connection.execute(wanted).all())
    digests = dict.fromkeys(page.digest for page in pages)
    if new := [_page_row(by_digest[digest], time) for digest in digests if digest not in known]:
        connection.execute(insert(tables.page), new)
        known = dict(connection.execute(wanted).all())
    note_places(connection, pages, known, time)
    return {digest: known[digest] for digest in digests}


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
    replaced = {column.name: new[column.name] for column in tables.truth.c if column.name != "page_id"}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["page_id"], set_=replaced, where=tables.truth.c.digest != new.digest
        ),
        rows,
    )


def _add_readings(connection: Connection, recipe_id: int, page_ids: Sequence[int]) -> dict[int, Status]:
    """Queue readings that are new or begin again; return where each page's stood before, in the same order.

    Until the transaction ends, no reading that is not done changes: a worker that hands one back would not
    know yet that it is asked for. What is done, only `forget` changes, and that waits its turn.
    """
    reading = tables.reading.c
    asked_for = and_(reading.recipe_id == recipe_id, reading.page_id.in_(page_ids))
    lock_readings(connection, and_(asked_for, reading.status != Status.DONE))
    found = dict(connection.execute(select(reading.page_id, reading.status).where(asked_for)).all())
    new = [page_id for page_id in page_ids if page_id not in found]
    if new:
        row = {"recipe_id": recipe_id, "status": Status.QUEUED, "attempts": 0}
        connection.execute(insert(tables.reading), [{"page_id": page_id, **row} for page_id in new])
    if any(status in _STARTS_AGAIN for status in found.values()):
        queue_again(connection, asked_for, reading.status.in_(_STARTS_AGAIN))
    return {page_id: found.get(page_id, Status.QUEUED) for page_id in page_ids}


def _ask_for(connection: Connection, run_id: int, stood: Mapping[int, Status]) -> list[int]:
    """Let a run ask for pages; return those for which it had not asked."""
    asked = tables.run_page.c
    known = set(
        connection.scalars(select(asked.page_id).where(asked.run_id == run_id, asked.page_id.in_(stood)))
    )
    new = [page_id for page_id in stood if page_id not in known]
    if new:
        rows = [
            {"run_id": run_id, "page_id": page_id, "was_done": stood[page_id] == Status.DONE}
            for page_id in new
        ]
        connection.execute(insert(tables.run_page), rows)
    return new
