"""Count what was read: labels, groups of labels that follow each other, and books."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from fumikura.core.archives.names import forms
from fumikura.core.errors import UsageError
from fumikura.core.store import tables
from fumikura.core.store.relations import check_run, is_newest_done
from fumikura.core.store.transactions import read_transaction

LONGEST_GROUP = 5


@dataclass(frozen=True, slots=True)
class Frequency:
    """This counts a label, or a group of labels that follow each other.

    Attributes:
        mean_confidence: of the first of them.
    """

    text: str
    count: int
    mean_confidence: float


@dataclass(frozen=True, slots=True)
class BookFigures:
    """This tells in figures what was read of a book.

    Attributes:
        mean_confidence: of its characters; None where there are none.
    """

    book: str
    pages: int
    characters: int
    mean_confidence: float | None


def frequencies(
    engine: Engine,
    *,
    n: int = 1,
    book: str | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    limit: int = 50,
) -> list[Frequency]:
    """Count labels, or groups of `n` that follow each other on a page, the most frequent first.

    All that was read is gone through: some seconds for ten million characters.

    Raises:
        UsageError: `n` is not 1 to LONGEST_GROUP.
        FumikuraError: there is no such run.
    """
    if not 1 <= n <= LONGEST_GROUP:
        raise UsageError(f"groups of {n} characters are not counted; give 1 to {LONGEST_GROUP}")
    first = tables.character.alias("character_0")
    labels: list[ColumnElement[Any]] = [first.c.label]
    joined: Any = first
    if n > 1:
        labels.append(first.c.next_label)
    for number in range(2, n):
        following = tables.character.alias(f"character_{number}")
        is_next = following.c.position == first.c.position + number
        joined = joined.join(following, (following.c.reading_id == first.c.reading_id) & is_next)
        labels.append(following.c.label)
    count = func.count().label("n")
    mean = func.avg(first.c.confidence).label("mean")
    with read_transaction(engine) as connection:
        shown = _shown(connection, book=book, run_id=run_id, recipe=recipe)
        counted = (
            select(*labels, count, mean)
            .select_from(joined)
            .where(first.c.reading_id.in_(shown), labels[-1].is_not(None))
            .group_by(*labels)
            .order_by(count.desc(), *labels)
            .limit(limit)
        )
        return [Frequency("".join(row[:n]), row.n, row.mean) for row in connection.execute(counted)]


def book_figures(
    engine: Engine, *, run_id: int | None = None, recipe: str | None = None, limit: int | None = None
) -> list[BookFigures]:
    """Tell in figures what was read of each book, the least sure first.

    Raises:
        FumikuraError: there is no such run.
    """
    page, reading = tables.page.c, tables.reading.c
    n_characters = func.coalesce(func.sum(reading.n_characters), 0)
    sure = func.sum(reading.n_characters * reading.mean_confidence)
    mean = (sure / func.nullif(n_characters, 0)).label("mean_confidence")
    counted = select(
        page.book, func.count().label("pages"), n_characters.label("characters"), mean
    ).join_from(tables.reading, tables.page, page.id == reading.page_id)
    with read_transaction(engine) as connection:
        shown = _shown(connection, run_id=run_id, recipe=recipe)
        rows = connection.execute(
            counted.where(reading.id.in_(shown))
            .group_by(page.book)
            .order_by(mean.is_(None), mean, page.book)
            .limit(limit)
        )
        return [BookFigures(**row) for row in rows.mappings()]


def _shown(
    connection: Connection, *, book: str | None = None, run_id: int | None = None, recipe: str | None = None
) -> Any:
    """Choose the readings that are shown: the newest of each page, unless a run or recipe is named."""
    check_run(connection, run_id)
    reading, page = tables.reading.c, tables.page.c
    shown = select(reading.id).where(is_newest_done(recipe_prefix=recipe, run_id=run_id))
    if book is not None:
        shown = shown.join(tables.page, page.id == reading.page_id).where(page.book.in_(forms(book)))
    return shown
