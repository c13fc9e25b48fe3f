"""Find a page, and tell all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, or_, select

from fumikura.core.archives.names import forms
from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Character, Leaf, Reading, Role, Scores, Truth
from fumikura.core.store import tables
from fumikura.core.store.relations import begins_with, check_run, shown_reading
from fumikura.core.store.rows import png_to_mask, row_to_character, row_to_scores, row_to_truth
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction

#: Digits of a digest that name a page; fewer might be meant as its name.
_SHORTEST_PREFIX = 6
#: Pages that a message about an unclear name lists.
_N_LISTED = 5


@dataclass(frozen=True, slots=True)
class PageDetails:
    """This is all that is known of a page; what concerns its reading is empty unless that is done.

    Attributes:
        sources: (archive, member), the place seen last first.
        mask_png: one bit a pixel, at working resolution.
        leaves: as `Reading.leaves` has them.
        as_read: the characters as the weights read them, where people put them right since; else None.
    """

    page_id: int
    name: str
    book: str
    digest: str
    width: int | None
    height: int | None
    sources: tuple[tuple[str, str], ...]
    reading_id: int | None
    status: Status | None
    error: str | None
    recipe_digest: str | None
    finished_at: datetime | None
    text: str | None
    mean_confidence: float | None
    timings_s: Mapping[str, float] | None
    mask_png: bytes | None
    characters: tuple[Character, ...]
    scores: Scores | None
    truth: Truth | None
    as_read: tuple[Character, ...] | None = None
    leaves: tuple[Leaf, ...] = ()

    @property
    def reading_as_read(self) -> Reading | None:
        """Give what the weights read, without what people put right; None unless that is done."""
        if (reading := self.reading) is None or self.as_read is None:
            return reading
        return replace(reading, characters=self.as_read)

    @property
    def reading(self) -> Reading | None:
        """Give what was read on the page; None unless that is done."""
        if self.status != Status.DONE or not (self.mask_png and self.width and self.height):
            return None
        mask = png_to_mask(self.mask_png)
        return Reading(
            mask, self.characters, self.width, self.height, self.timings_s or {}, leaves=self.leaves
        )


def get_page(
    engine: Engine, page: str | int, *, run_id: int | None = None, recipe: str | None = None
) -> PageDetails:
    """Tell all of a page with its newest done reading, or with the one of a run or a recipe.

    Args:
        page: its name, id, or the beginning of its digest; a number is the id alone.

    Raises:
        FumikuraError: there is no such page or run, or there are several pages.
    """
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        page_id = find_page_id(connection, page)
        statement = _details(shown_reading(recipe_prefix=recipe, run_id=run_id))
        row = connection.execute(statement.where(tables.page.c.id == page_id)).mappings().first()
        if row is None:
            raise FumikuraError(f"page {page!r} is being forgotten at this moment")
        return PageDetails(
            **row,
            sources=_sources(connection, page_id),
            characters=_characters(connection, row["reading_id"]),
            scores=_scores(connection, row["reading_id"]),
            truth=_truth(connection, page_id),
            as_read=as_read(connection, row["reading_id"]),
            leaves=_leaves(connection, row["reading_id"]),
        )


@dataclass(frozen=True, slots=True)
class PagePlace:
    """This is what it takes to find a page's image.

    Attributes:
        sources: (archive, member), the place seen last first.
        width: of the upright page, in pixels; None until it was read.
        height: likewise.
    """

    page_id: int
    name: str
    digest: str
    width: int | None
    height: int | None
    sources: tuple[tuple[str, str], ...]


def page_place(engine: Engine, page_id: int) -> PagePlace:
    """Tell where a page's image lies.

    Raises:
        FumikuraError: there is no such page.
    """
    page = tables.page.c
    with read_transaction(engine) as connection:
        found = find_page_id(connection, page_id)
        wanted = select(page.id.label("page_id"), page.name, page.digest, page.width, page.height)
        row = connection.execute(wanted.where(page.id == found)).mappings().one()
        return PagePlace(**row, sources=_sources(connection, found))


def find_page_id(connection: Connection, page: str | int) -> int:
    """Find the one page with this name, id or beginning of a digest, or whose file was once called so.

    Tried in this order, since it is the slowest to look for the last.

    Raises:
        FumikuraError: there is no such page, or there are several.
    """
    column = tables.page.c
    for condition in [column.id == page] if isinstance(page, int) else _ways_to_call(page):
        found = connection.execute(
            select(column.id, column.book).where(condition).order_by(column.id).limit(_N_LISTED + 1)
        ).all()
        if len(found) == 1:
            page_id: int = found[0].id
            return page_id
        if found:
            listed = ", ".join(f"{row.id} (book {row.book})" for row in found[:_N_LISTED])
            more = " and more" if len(found) > _N_LISTED else ""
            raise FumikuraError(f"several pages are called {page!r}: {listed}{more}; give one of these ids")
    raise FumikuraError(f"there is no page {page!r}; `fumikura query pages` lists names and ids")


def _ways_to_call(page: str) -> Iterator[ColumnElement[bool]]:
    column = tables.page.c
    yield column.name.in_(forms(page))
    if page.isdecimal() and len(page) < 10:
        yield column.id == int(page)
    if len(page) >= _SHORTEST_PREFIX:
        yield begins_with(column.digest, page.lower())
    yield column.id.in_(_once_called(page))


def _once_called(name: str) -> Select[tuple[int]]:
    """Choose the ids of the pages with a file of this name, its ending left out."""
    source = tables.page_source.c
    conditions = [
        source.member.startswith(f"{form}.", autoescape=True)
        | source.member.contains(f"/{form}.", autoescape=True)
        | ((source.member == "") & source.archive.contains(f"/{form}.", autoescape=True))  # an image alone
        for form in forms(name)
    ]
    return select(source.page_id).where(or_(*conditions))


def shared_columns() -> tuple[ColumnElement[Any], ...]:
    """Choose what a summary and the details of a page both tell."""
    page, reading = tables.page.c, tables.reading.c
    of_page = (page.id.label("page_id"), page.name, page.book, page.digest, page.width, page.height)
    of_reading = (reading.status, reading.error, reading.finished_at, reading.mean_confidence)
    return (*of_page, reading.id.label("reading_id"), *of_reading)


def _details(shown: ColumnElement[int]) -> Select[Any]:
    reading = tables.reading.c
    return (
        select(
            *shared_columns(),
            tables.recipe.c.digest.label("recipe_digest"),
            reading.text,
            reading.timings_s,
            reading.mask.label("mask_png"),
        )
        .outerjoin_from(tables.page, tables.reading, reading.id == shown)
        .outerjoin(tables.recipe, tables.recipe.c.id == reading.recipe_id)
    )


def _leaves(connection: Connection, reading_id: int | None) -> tuple[Leaf, ...]:
    leaf = tables.leaf.c
    rows = connection.execute(
        select(leaf.outline, leaf.turned, leaf.is_negative, leaf.scale)
        .where(leaf.reading_id == reading_id)
        .order_by(leaf.number)
    )
    return tuple(Leaf(tuple((x, y) for x, y in outline), *how) for outline, *how in rows)


def _sources(connection: Connection, page_id: int) -> tuple[tuple[str, str], ...]:
    source = tables.page_source.c
    places = connection.execute(
        select(source.archive, source.member)
        .where(source.page_id == page_id)
        .order_by(source.seen_at.desc(), source.id.desc())
    )
    return tuple((place.archive, place.member) for place in places)


def _characters(connection: Connection, reading_id: int | None) -> tuple[Character, ...]:
    character = tables.character.c
    rows = connection.execute(
        select(tables.character).where(character.reading_id == reading_id).order_by(character.position)
    )
    return tuple(map(row_to_character, rows))


def _scores(connection: Connection, reading_id: int | None) -> Scores | None:
    row = connection.execute(select(tables.score).where(tables.score.c.reading_id == reading_id)).first()
    return None if row is None else row_to_scores(row)


def _truth(connection: Connection, page_id: int) -> Truth | None:
    row = connection.execute(select(tables.truth).where(tables.truth.c.page_id == page_id)).first()
    return None if row is None else row_to_truth(row)


def as_read(connection: Connection, reading_id: int | None) -> tuple[Character, ...] | None:
    """Give what the weights read where people put it right; None where they did not."""
    kept = tables.corrected_reading.c
    rows = connection.scalar(select(kept.as_read).where(kept.reading_id == reading_id))
    if rows is None:
        return None
    return tuple(map(_character_of, rows))


def _character_of(values: Mapping[str, Any]) -> Character:
    alternatives = tuple((label, share) for label, share in values["alternatives"])
    known = {"box": Box(*values["box"]), "alternatives": alternatives, "role": Role(values["role"])}
    return Character(**{**values, **known})
