"""Delete readings with all that belongs to them, while workers go on.

First, in one transaction, nothing may be in anybody's hands and what waits leaves the queue; from then
on no worker takes any of it. The rest goes in small transactions, so that workers can write in between, and
others can ask for pages: what a run asks for that was begun meanwhile stays. Cut off half-way, the same
again goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, exists, func, not_, or_, select

from fumikura.core.archives.frames import holds_frames
from fumikura.core.errors import FumikuraError
from fumikura.core.store import tables
from fumikura.core.store.reading_status import change_readings
from fumikura.core.store.relations import asked_by, begins_with, check_run, is_asked_for
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import now, read_transaction, request_transaction

#: Readings in one transaction; each brings some hundred characters along.
READINGS_PER_TRANSACTION = 200


@dataclass(frozen=True, slots=True)
class Doomed:
    """This says which readings are to be forgotten; the functions `doomed_by_…` make it.

    Attributes:
        what: for people: "run 3".
        n_kept: readings of it that stay, because somebody else asks for them too.
    """

    what: str
    readings: Mapping[Status, int]
    n_characters: int
    n_kept: int
    condition: ColumnElement[bool]
    run_id: int | None = None
    archive: str | None = None

    @property
    def n_readings(self) -> int:
        return sum(self.readings.values())


def doomed_by_run(engine: Engine, run_id: int) -> Doomed:
    """Choose the readings that this run asks for, and no other run.

    Raises:
        FumikuraError: there is no such run.
    """
    is_kept = is_asked_for(but_by_run=run_id, or_was=True)
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        return _doomed(connection, f"run {run_id}", asked_by(run_id), is_kept, run_id=run_id)


def doomed_by_archive(engine: Engine, archive: str) -> Doomed:
    """Choose the readings of the pages that lie in this archive, or are this file, and lie nowhere else.

    Args:
        archive: its absolute path, as it was when its pages were added.

    Raises:
        FumikuraError: no page was ever seen there.
    """
    source, page_id = tables.page_source.c, tables.reading.c.page_id
    lies_here = page_id.in_(select(source.page_id).where(_is_at(source, archive)))
    lies_elsewhere = page_id.in_(select(source.page_id).where(not_(_is_at(source, archive))))
    with read_transaction(engine) as connection:
        if connection.scalar(select(source.id).where(_is_at(source, archive)).limit(1)) is None:
            raise FumikuraError(
                f"no page of {archive} is known; `fumikura query pages --json` tells where pages lie"
            )
        return _doomed(connection, archive, lies_here, lies_elsewhere, archive=archive)


def _is_at(source: Any, archive: str) -> ColumnElement[bool]:
    """Make the condition that a place lies in an archive, or in that PDF or TIFF, or is that scan."""
    folder, _, name = archive.rpartition("/")
    is_file = source.member == name
    if holds_frames(name):
        is_file = or_(is_file, source.member.startswith(f"{name}/", autoescape=True))
    return or_(source.archive == archive, and_(source.archive == (folder or "/"), is_file))


def doomed_by_recipe(engine: Engine, prefix: str) -> Doomed:
    """Choose all readings by the one recipe whose digest begins so.

    Raises:
        FumikuraError: there is none, or there are several.
    """
    recipe = tables.recipe.c
    with read_transaction(engine) as connection:
        wanted = select(recipe.id, recipe.digest).where(begins_with(recipe.digest, prefix))
        found = connection.execute(wanted.order_by(recipe.id)).all()
        if len(found) != 1:
            known = found or connection.execute(select(recipe.id, recipe.digest).order_by(recipe.id)).all()
            listed = ", ".join(row.digest[:12] for row in known) or "none"
            count = "several recipes begin" if found else "no recipe begins"
            raise FumikuraError(f"{count} with {prefix!r}; give one of these: {listed}")
        condition = tables.reading.c.recipe_id == found[0].id
        return _doomed(connection, f"recipe {found[0].digest[:12]}", condition)


def forget(engine: Engine, doomed: Doomed) -> int:
    """Delete readings with their characters and scores, and what is empty without them; return how many.

    A run goes when its last page does, and a page (with its truth) when nobody asks for it any more.

    Raises:
        FumikuraError: some are being read at this moment; nothing was deleted.
    """
    newest_run = _take_out_of_queue(engine, doomed)
    n_forgotten, runs = 0, set[int]() if doomed.run_id is None else {doomed.run_id}
    while True:
        with request_transaction(engine) as connection:
            reading = tables.reading.c
            batch = connection.execute(
                select(reading.id, reading.page_id, reading.recipe_id)
                # Whoever asked again meanwhile keeps what it got.
                .where(
                    doomed.condition,
                    reading.status.not_in((Status.LEASED, Status.QUEUED)),
                    not_(is_asked_for(since_run=newest_run, or_was=True)),
                )
                .order_by(reading.id)
                .limit(READINGS_PER_TRANSACTION)
                .with_for_update()
            ).all()
            if not batch:
                break
            reading_ids = [row.id for row in batch]
            runs |= _drop_requests(connection, reading_ids)
            connection.execute(delete(tables.reading).where(reading.id.in_(reading_ids)))
            n_forgotten += len(batch)
            _drop_pages(connection, tables.page.c.id.in_([row.page_id for row in batch]))
    _drop_the_rest(engine, doomed, runs)
    return n_forgotten


def _doomed(
    connection: Connection,
    what: str,
    condition: ColumnElement[bool],
    is_kept: ColumnElement[bool] | None = None,
    *,
    run_id: int | None = None,
    archive: str | None = None,
) -> Doomed:
    reading, n_kept = tables.reading.c, 0
    if is_kept is not None:
        kept = select(func.count()).select_from(tables.reading).where(condition, is_kept)
        n_kept = connection.execute(kept).scalar_one()
        condition = and_(condition, not_(is_kept))
    rows = connection.execute(
        select(reading.status, func.count(), func.coalesce(func.sum(reading.n_characters), 0))
        .where(condition)
        .group_by(reading.status)
    ).all()
    counts = {status: count for status, count, _ in rows}
    n_characters = sum(characters for *_, characters in rows)
    return Doomed(what, counts, n_characters, n_kept, condition, run_id=run_id, archive=archive)


def _take_out_of_queue(engine: Engine, doomed: Doomed) -> int:
    """Take what waits out of the queue, and return the newest run that there is."""
    reading = tables.reading.c
    with request_transaction(engine) as connection:
        waiting = and_(doomed.condition, reading.status == Status.QUEUED)
        change_readings(connection, waiting, status=Status.CANCELLED, finished_at=now(connection))
        in_hand = and_(doomed.condition, reading.status == Status.LEASED)
        count = select(func.count()).select_from(tables.reading).where(in_hand)
        if n_leased := connection.execute(count).scalar_one():
            raise FumikuraError(
                f"pages of {doomed.what} are being read ({n_leased:,} leased), so nothing was deleted;"
                " stop or `fumikura cancel` their run, and try again when `fumikura status` shows none leased"
            )
        newest_run: int = connection.execute(select(func.coalesce(func.max(tables.run.c.id), 0))).scalar_one()
        return newest_run


def _drop_requests(connection: Connection, reading_ids: list[int]) -> set[int]:
    """Forget which runs asked for some readings, and return their ids."""
    run, run_page, reading = tables.run.c, tables.run_page.c, tables.reading.c
    asked = exists(
        select(reading.id)
        .join(tables.run, run.recipe_id == reading.recipe_id)
        .where(reading.id.in_(reading_ids), run.id == run_page.run_id, reading.page_id == run_page.page_id)
        .correlate(tables.run_page)
    )
    runs = set(connection.scalars(select(run_page.run_id).where(asked).distinct()))
    connection.execute(delete(tables.run_page).where(asked))
    return runs


def _drop_pages(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Delete those of some pages that neither a reading, a run nor a correction knows any more."""
    page = tables.page.c
    is_known = or_(
        exists(select(tables.reading.c.id).where(tables.reading.c.page_id == page.id)),
        exists(select(tables.run_page.c.run_id).where(tables.run_page.c.page_id == page.id)),
        # What people put right is to be there when the page is read again.
        exists(select(tables.correction.c.id).where(tables.correction.c.page_id == page.id)),
    )
    connection.execute(delete(tables.page).where(condition, not_(is_known)))


def _drop_the_rest(engine: Engine, doomed: Doomed, runs: set[int]) -> None:
    """Delete the run that was named, runs that lost all their pages, and places that were named."""
    run, run_page, source = tables.run.c, tables.run_page.c, tables.page_source.c
    # One to which pages are still being added will have some.
    is_empty = and_(run.listed_at.is_not(None), not_(exists().where(run_page.run_id == run.id)))
    with request_transaction(engine) as connection:
        connection.execute(delete(tables.run).where(run.id.in_(runs), or_(is_empty, run.id == doomed.run_id)))
        if doomed.archive is not None:
            other = tables.page_source.alias("other")
            lies_elsewhere = exists(
                select(other.c.id).where(
                    other.c.page_id == source.page_id, not_(_is_at(other.c, doomed.archive))
                )
            )
            here = and_(_is_at(source, doomed.archive), lies_elsewhere)
            connection.execute(delete(tables.page_source).where(here))
