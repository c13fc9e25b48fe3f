"""A page that could not be read when it was listed has a digest of its place, until its bytes are known.

Then its row takes the digest of the bytes, so that what was retried is what is read, and its name is not
that of two pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, or_, select, update

from fumikura.core.page import PageReference, stand_in_digest
from fumikura.core.store import tables
from fumikura.core.store.reading_status import lock_readings
from fumikura.core.store.tables import Status


def take_up(connection: Connection, pages: Sequence[PageReference]) -> None:
    """Give the rows of pages that could not be read before, and can be now, their digests."""
    by_stand_in = {stand_in_digest(page.archive, page.member): page for page in pages if not page.is_stand_in}
    page, reading = tables.page.c, tables.reading.c
    found = connection.execute(select(page.id, page.digest).where(page.digest.in_(by_stand_in))).all()
    found = [row for row in found if by_stand_in[row.digest].digest != row.digest]
    if not found:
        return
    ids = [row.id for row in found]
    lock_readings(connection, reading.page_id.in_(ids))
    # What a worker holds fails at once, and is taken up the next time.
    held = set(
        connection.scalars(
            select(reading.page_id).where(
                reading.page_id.in_(ids), or_(reading.status == Status.LEASED, reading.status == Status.DONE)
            )
        )
    )
    for row in found:
        if row.id not in held:
            _take_up(connection, row.id, by_stand_in[row.digest])


def _take_up(connection: Connection, page_id: int, found: PageReference) -> None:
    page = tables.page.c
    same = connection.scalar(select(page.id).where(page.digest == found.digest))
    if same is None:
        new = {"digest": found.digest, "size_bytes": found.size_bytes}
        connection.execute(update(tables.page).where(page.id == page_id).values(new))
        return
    # The image is known from another place: who asked for the one asks for the other.
    asked = tables.run_page.c
    asking = select(asked.run_id).where(asked.page_id == same)
    mine = and_(asked.page_id == page_id, asked.run_id.not_in(asking))
    connection.execute(update(tables.run_page).where(mine).values(page_id=same))
    connection.execute(delete(tables.page).where(page.id == page_id))
