"""Find the pages beside a page."""

from __future__ import annotations

from sqlalchemy import Engine, select

from fumikura.core.store import tables
from fumikura.core.store.transactions import read_transaction


def neighbours(engine: Engine, page_id: int) -> tuple[int | None, int | None]:
    """Give the ids of the pages before and after this one in its book, in the order of adding."""
    page = tables.page.c
    book = select(page.book).where(page.id == page_id).scalar_subquery()
    of_book = select(page.id).where(page.book == book).limit(1)
    with read_transaction(engine) as connection:
        before = connection.scalar(of_book.where(page.id < page_id).order_by(page.id.desc()))
        after = connection.scalar(of_book.where(page.id > page_id).order_by(page.id))
    return before, after
