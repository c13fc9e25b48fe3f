"""Remember where pages were seen, so that a file that has not changed need not be hashed again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, update

from fumikura.core.archives.known import KnownFile
from fumikura.core.page import PageReference
from fumikura.core.store import tables
from fumikura.core.store.transactions import read_transaction


def known_places(engine: Engine, archive: str, members: Sequence[str]) -> dict[str, KnownFile]:
    """Tell what lay in some members of an archive when it was last seen, and by what that is recognised."""
    source, page = tables.page_source.c, tables.page.c
    statement = (
        select(source.member, source.stamp, page.digest, page.size_bytes)
        .join_from(tables.page_source, tables.page)
        .where(
            source.place.in_([tables.place_of(archive, member) for member in members]),
            source.stamp.is_not(None),
        )
        .order_by(source.seen_at, source.id)  # of two images at one place the last one counts
    )
    with read_transaction(engine) as connection:
        rows = connection.execute(statement)
        return {row.member: KnownFile(row.stamp, row.digest, row.size_bytes) for row in rows}


def note_places(
    connection: Connection, pages: Iterable[PageReference], page_ids: dict[str, int], time: datetime
) -> None:
    """Note where pages were seen. Only what is missing is inserted, as each try would take a number."""
    source = tables.page_source.c
    stamps = {(page_ids[page.digest], page.archive, page.member): page.stamp for page in pages}
    # By place too: a blank page may lie in a hundred thousand.
    near = select(source.id, source.page_id, source.archive, source.member, source.stamp).where(
        source.page_id.in_({page_id for page_id, *_ in stamps}),
        source.place.in_({tables.place_of(archive, member) for _, archive, member in stamps}),
    )
    known = {(row.page_id, row.archive, row.member): row for row in connection.execute(near)}
    seen = [known[place].id for place in stamps if place in known]
    if seen:
        connection.execute(update(tables.page_source).where(source.id.in_(seen)).values(seen_at=time))
    for place, stamp in stamps.items():
        if place in known and known[place].stamp != stamp:
            touched = update(tables.page_source).where(source.id == known[place].id)
            connection.execute(touched.values(stamp=stamp))
    new = [
        {"page_id": page_id, "archive": archive, "member": member, "seen_at": time, "stamp": stamp}
        for (page_id, archive, member), stamp in stamps.items()
        if (page_id, archive, member) not in known
    ]
    if new:
        connection.execute(insert(tables.page_source), new)
