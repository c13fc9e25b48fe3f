"""Choose several pages by what a person calls them: page, book or pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select

from fumikura.core.archives.names import forms
from fumikura.core.errors import FumikuraError
from fumikura.core.store import tables
from fumikura.core.store.lookup import find_page_id
from fumikura.core.store.relations import check_run, is_near_run, shown_reading
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction

_IS_PATTERN = re.compile(r"[*?]")


def choose_pages(
    engine: Engine, words: Sequence[str], *, run_id: int | None = None, recipe: str | None = None
) -> list[tuple[int, str]]:
    """List id and name of the pages that some words mean, each once, in the order of the words.

    Args:
        words: each a page's name, id or beginning of its digest; a book; or a pattern of names, where *
            stands for any characters and ? for one. Of a book, or by a pattern, pages that are not read
            are left out. No word means all pages that a run read.
        run_id: whose readings count.
        recipe: the beginning of its digest, likewise.

    Raises:
        FumikuraError: a word means no page, or there is no such run.
    """
    page = tables.page.c
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        shown = tables.reading.c.id == shown_reading(recipe_prefix=recipe, run_id=run_id)
        is_read = and_(shown, tables.reading.c.status == Status.DONE)
        if run_id is not None:
            is_read = and_(is_near_run(page.id, run_id), is_read)
        chosen: dict[int, None] = {}
        for word in words:
            chosen |= dict.fromkeys(_meant(connection, word, is_read))
        if not words:
            of_run = select(page.id).join(tables.reading, tables.reading.c.page_id == page.id).where(is_read)
            chosen = dict.fromkeys(connection.scalars(of_run.order_by(page.id)))
        return [(page_id, _name(connection, page_id)) for page_id in chosen]


def _meant(connection: Connection, word: str, is_read: ColumnElement[bool]) -> list[int]:
    """List the ids that a word means, as a page's name before a book's."""
    page = tables.page.c
    condition: ColumnElement[bool]
    if _IS_PATTERN.search(word):
        condition = or_(*(page.name.like(_as_like(form), escape="\\") for form in forms(word)))
    else:
        try:
            return [find_page_id(connection, word)]
        except FumikuraError as error:
            condition, problem = page.book.in_(forms(word)), error
    pages = select(page.id).join(tables.reading, tables.reading.c.page_id == page.id)
    found = list(connection.scalars(pages.where(condition, is_read).order_by(page.id)))
    if found:
        return found
    if _IS_PATTERN.search(word):
        raise FumikuraError(
            f"no page was read whose name is like {word!r}; `fumikura query pages` lists them"
        )
    raise problem


def _as_like(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")


def _name(connection: Connection, page_id: int) -> str:
    name: str = connection.execute(select(tables.page.c.name).where(tables.page.c.id == page_id)).scalar_one()
    return name
