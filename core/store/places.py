"""Remember where pages were seen, so that a file that has not changed need not be hashed again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from fumikura.core.archives.known import KnownFile
from fumikura.core.page import PageReference
from fumikura.core.store import tables
from fumikura.core.store.rows import storable
from fumikura.core.store.transactions import read_transaction

#: What is told of a page at one of its places.
_TOLD = ("stamp", "label", "canvas")


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
    by_place = {(page_ids[page.digest], page.archive, page.member): page for page in pages}
    # By place too: a blank page may lie in a hundred thousand.
    near = select(
        source.id, source.page_id, source.archive, source.member, *(source[name] for name in _TOLD)
    ).where(
        source.page_id.in_({page_id for page_id, *_ in by_place}),
        source.place.in_({tables.place_of(archive, member) for _, archive, member in by_place}),
    )
    known = {(row.page_id, row.archive, row.member): row for row in connection.execute(near)}
    seen = [known[place].id for place in by_place if place in known]
    if seen:
        connection.execute(update(tables.page_source).where(source.id.in_(seen)).values(seen_at=time))
    for place, page in by_place.items():
        if place in known and _told(known[place]) != _told(page):
            touched = update(tables.page_source).where(source.id == known[place].id)
            connection.execute(touched.values(_told(page)))
    new = [
        {"page_id": page_id, "archive": archive, "member": member, "seen_at": time, **_told(page)}
        for (page_id, archive, member), page in by_place.items()
        if (page_id, archive, member) not in known
    ]
    if new:
        connection.execute(insert(tables.page_source), new)


def _told(place: Any) -> dict[str, str | None]:
    values = {name: getattr(place, name) for name in _TOLD}
    return {name: None if value is None else storable(value) for name, value in values.items()}
