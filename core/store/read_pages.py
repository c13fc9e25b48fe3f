"""This module streams pages with what was read on them, a few at a time, for exports of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, RowMapping, Select, exists, func, select

from fumikura.core.archives.names import forms
from fumikura.core.read_page import ReadPage, version_of
from fumikura.core.store import tables
from fumikura.core.store.corrections import pages_put_right
from fumikura.core.store.lookup import find_page_id
from fumikura.core.store.page_parts import Characters, Sources, fetch_characters, fetch_sources, of_people
from fumikura.core.store.relations import check_run, is_done_too, is_near_run, shown_reading
from fumikura.core.store.transactions import read_transaction

#: Pages that are fetched at once: some 20,000 characters.
PAGES_AT_ONCE = 50
_KEYS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection says which pages are wanted, and which of their characters; None leaves nothing out.

    Attributes:
        run_id: pages of this run, with its readings. Else each page has its newest done reading.
        page: one page, by its name, its id or the beginning of its digest.
        archive: pages that were seen in this archive, as the store names it.
        recipe: the beginning of a recipe's digest.
        min_confidence: of a character, in [0, 1].
        max_confidence: likewise.
        labels: characters with one of these labels, old and new kanji counted as the same.
        role: of a character, such as "furigana".
        by_people: characters that people put right or confirmed: on all pages, or on those alone that were
            confirmed as a whole.
    """

    run_id: int | None = None
    page: str | None = None
    book: str | None = None
    archive: str | None = None
    recipe: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    labels: frozenset[str] | None = None
    role: str | None = None
    by_people: Literal["corrected", "confirmed"] | None = None


@dataclass(frozen=True, slots=True)
class PageKey:
    """A key tells a page that was read, and when."""

    page_id: int
    name: str
    book: str
    digest: str
    reading_id: int
    finished_at: datetime
    corrected_at: datetime | None = None

    @property
    def version(self) -> str:
        """Tell this reading of the page from all others, also from an earlier one by the same recipe."""
        return version_of(self.reading_id, self.finished_at, self.corrected_at)


def newest_run(engine: Engine) -> int | None:
    """Tell the number of the run that was asked for last; None if there is none."""
    with read_transaction(engine) as connection:
        newest: int | None = connection.scalar(select(func.max(tables.run.c.id)))
        return newest


def is_contained(engine: Engine, run_id: int, other_id: int) -> bool:
    """Tell whether all pages of a run belong to another one too, of the same recipe."""
    run, run_page = tables.run.c, tables.run_page.c
    theirs = select(run_page.page_id).where(run_page.run_id == other_id)
    missing = select(run_page.page_id).where(run_page.run_id == run_id, run_page.page_id.not_in(theirs))
    recipes = select(run.recipe_id).where(run.id.in_((run_id, other_id)))
    with read_transaction(engine) as connection:
        first, *others = connection.scalars(recipes)
        return others == [first] and connection.execute(missing.limit(1)).first() is None


def count_pages(engine: Engine, selection: Selection) -> int:
    """Count the pages that `stream_keys` gives.

    Raises:
        FumikuraError: there is no such run or page.
    """
    return sum(1 for _ in stream_keys(engine, selection))


def find_selection(engine: Engine, name: str) -> Selection:
    """Find what a name stands for: a page, a book, the number of a run, else a page's id or digest.

    Tried in this order. An exact name comes first, for pages and books may be called 12.

    Raises:
        FumikuraError: nothing is called so, or several pages are.
    """
    page, run = tables.page.c, tables.run.c
    with read_transaction(engine) as connection:

        def is_known(statement: Select[Any]) -> bool:
            return connection.scalar(statement.limit(1)) is not None

        if is_known(select(page.id).where(page.name.in_(forms(name)))):
            return Selection(page=name)
        if is_known(select(page.id).where(page.book.in_(forms(name)))):
            return Selection(book=name)
        is_number = name.isdecimal() and len(name) < 10
        if is_number and is_known(select(run.id).where(run.id == int(name))):
            return Selection(run_id=int(name))
        find_page_id(connection, name)
    return Selection(page=name)


def first_keys(engine: Engine, run_id: int, limit: int) -> list[PageKey]:
    """Give the keys of the first pages of a run that were read, in the order of adding.

    Raises:
        FumikuraError: there is no such run.
    """
    selection = Selection(run_id=run_id)
    with read_transaction(engine) as connection:
        wanted = [is_done_too(), *_conditions(connection, selection)]
        keys = _keys(_read(selection)).where(*wanted).limit(limit)
        return [PageKey(**row) for row in connection.execute(keys).mappings()]


def stream_keys(engine: Engine, selection: Selection) -> Iterator[PageKey]:
    """Give the keys of the pages that were read, book after book, each book in the order it was added in.

    No transaction stays open while the caller works on them.

    Raises:
        FumikuraError: there is no such run or page.
    """
    last: PageKey | None = None
    while True:
        with read_transaction(engine) as connection:
            keys = _next_keys(connection, selection, last)
        if not keys:
            return
        yield from keys
        last = keys[-1]


def stream_pages(
    engine: Engine, selection: Selection, *, alternatives: bool = True, masks: bool = False
) -> Iterator[ReadPage]:
    """Give the pages that were read, in the order of `stream_keys`, and hold few of them at once.

    Args:
        alternatives: fetch the next-best labels too, which takes twice as long.
        masks: fetch the masks too.

    Raises:
        FumikuraError: there is no such run or page.
    """
    keys = stream_keys(engine, selection)
    while some := list(islice(keys, PAGES_AT_ONCE)):
        yield from fetch_pages(engine, some, selection, alternatives=alternatives, masks=masks)


def fetch_pages(
    engine: Engine, keys: Sequence[PageKey], selection: Selection, *, alternatives: bool, masks: bool
) -> list[ReadPage]:
    """Fetch the pages of some keys, in their order; those that were forgotten meanwhile are missing."""
    reading_ids = [key.reading_id for key in keys]
    # One snapshot for a page and its characters, or a page read anew in between would come out mixed.
    with read_transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        rows = connection.execute(_details(reading_ids, masks)).mappings().all()
        sources = fetch_sources(connection, [row["page_id"] for row in rows])
        characters = fetch_characters(
            connection,
            reading_ids,
            alternatives=alternatives,
            min_confidence=selection.min_confidence,
            max_confidence=selection.max_confidence,
            role=selection.role,
            labels=selection.labels,
        )
        if selection.by_people is not None:
            pages_of = {row["reading_id"]: row["page_id"] for row in rows}
            characters = of_people(connection, characters, pages_of)
    pages = {row["reading_id"]: _page(row, sources, characters) for row in rows}
    return [pages[reading_id] for reading_id in reading_ids if reading_id in pages]


def _page(row: RowMapping, sources: Sources, characters: Characters) -> ReadPage:
    found = characters.get(row["reading_id"], [])
    places = sources[row["page_id"]]
    _, _, label, canvas = places[0]
    return ReadPage(
        **row,
        sources=tuple((archive, member) for archive, member, *_ in places),
        label=label,
        canvas=canvas,
        characters=tuple(character for _, character in found),
        positions=tuple(position for position, _ in found),
    )


def _next_keys(connection: Connection, selection: Selection, last: PageKey | None) -> list[PageKey]:
    """Fetch the next pages of the last one's book, or else the first ones of the next book.

    Book by book, because the key of the table then gives the order: PostgreSQL would sort all pages anew
    for every few of them.
    """
    page, read = tables.page.c, _read(selection)
    wanted = [is_done_too(), *_conditions(connection, selection)]
    keys = _keys(read).where(*wanted).limit(_KEYS_AT_ONCE)
    found: Sequence[RowMapping] = []
    if last is not None:
        following = keys.where(page.book == last.book, page.id > last.page_id)
        found = connection.execute(following).mappings().all()
        wanted.append(page.book > last.book)
    if not found:
        book = select(page.book).select_from(read).where(*wanted).order_by(page.book).limit(1)
        found = connection.execute(keys.where(page.book == book.scalar_subquery())).mappings().all()
    return [PageKey(**row) for row in found]


def _read(selection: Selection) -> FromClause:
    """Make the pages, each with the reading that is shown for it."""
    shown = shown_reading(recipe_prefix=selection.recipe, run_id=selection.run_id)
    return tables.page.join(tables.reading, tables.reading.c.id == shown)


def _keys(read: FromClause) -> Select[Any]:
    page, reading = tables.page.c, tables.reading.c
    columns = (page.id.label("page_id"), page.name, page.book, page.digest)
    of_reading = (reading.id.label("reading_id"), reading.finished_at, _corrected_at())
    return select(*columns, *of_reading).select_from(read).order_by(page.id)


def _corrected_at() -> ColumnElement[Any]:
    """Choose when people last put the statement's reading right; NULL if they never did."""
    kept = tables.corrected_reading.c
    when = select(kept.corrected_at).where(kept.reading_id == tables.reading.c.id)
    return when.correlate(tables.reading).scalar_subquery().label("corrected_at")


def _details(reading_ids: Sequence[int], masks: bool) -> Select[Any]:
    page, reading = tables.page.c, tables.reading.c
    of_page = (page.id.label("page_id"), page.name, page.book, page.digest, page.width, page.height)
    of_reading = (reading.id.label("reading_id"), reading.finished_at, _corrected_at())
    recipe = tables.recipe.c.digest.label("recipe_digest")
    return (
        select(*of_page, *of_reading, recipe, *([reading.mask.label("mask_png")] if masks else []))
        # Outer joins, or with old statistics a database begins with all pages, or with all that are done.
        .outerjoin_from(tables.reading, tables.page, page.id == reading.page_id)
        .outerjoin(tables.recipe, tables.recipe.c.id == reading.recipe_id)
        .where(reading.id.in_(reading_ids), is_done_too())
    )


def _conditions(connection: Connection, selection: Selection) -> Iterator[ColumnElement[bool]]:
    page, source, run_page = tables.page.c, tables.page_source.c, tables.run_page.c
    if selection.run_id is not None:
        check_run(connection, selection.run_id)
        yield is_near_run(page.id, selection.run_id)
        yield exists().where(run_page.run_id == selection.run_id, run_page.page_id == page.id)
    if selection.page is not None:
        yield page.id == find_page_id(connection, selection.page)
    if selection.book is not None:
        yield page.book.in_(forms(selection.book))
    if selection.by_people is not None:
        yield page.id.in_(pages_put_right(are_confirmed=selection.by_people == "confirmed"))
    if selection.archive is not None:
        yield page.id.in_(select(source.page_id).where(source.archive == selection.archive))
