"""Find where a phrase may stand although it was read otherwise: along the next-best labels.

Places are first chosen by the labels of the phrase that were read right, each counting the more the rarer
it is: for that the index on labels alone is walked. Of the best of them the next-best labels are fetched, and
the phrase is laid along them as is most probable, also where a character was missed or one too many was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Row,
    RowMapping,
    Text,
    and_,
    cast,
    column,
    func,
    select,
    values,
)

from fumikura.core.archives.names import forms
from fumikura.core.errors import UsageError
from fumikura.core.phrases import Phrase, understand
from fumikura.core.store import tables
from fumikura.core.store.hits import Hit
from fumikura.core.store.laying import Match, Read, laid_along, without_overlaps
from fumikura.core.store.relations import check_run, is_newest_done, newest_source
from fumikura.core.store.search import N_CONTEXT, make_hit, rows_around, start_at_the_label, stretch_of
from fumikura.core.store.transactions import read_transaction

#: Places of one label that are looked at; one that stands at more is looked for together with its neighbour.
_MOST_PLACES = 100_000
#: Places of all labels together, of which at least two are looked at.
_ENOUGH = 60_000
#: More than there are characters anywhere.
_VERY_MANY = 1e12
#: Places of which the next-best labels are looked at.
_N_CANDIDATES = 500
_AT_ONCE = 125
#: Places of a reading are counted from here, so that a phrase may begin before the first.
_SHIFT, _POSITIONS = 64, 1 << 20


def find_probable(
    engine: Engine,
    text: str,
    *,
    book: str | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    limit: int = 50,
) -> list[Hit]:
    """Find where a phrase may stand, the most probable place first.

    Of each page the newest done reading counts, unless `run_id` or `recipe` choose another.

    Raises:
        UsageError: the text holds less than two characters, or a `*`.
        FumikuraError: there is no such run.
    """
    phrase = understand(text)
    places = phrase.stretches[0]
    if len(phrase.stretches) > 1 or sum(place is not None for place in places) < 2:
        raise UsageError(f"{text!r} cannot be searched forgivingly; give two characters or more, without *")
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        start_at_the_label(connection)
        among = _readings_of(connection, book=book, run_id=run_id)
        matches = list(_matches(connection, phrase, _candidates(connection, places, among)))
        pages = _pages(connection, sorted({match.reading_id for match in matches}), run_id, recipe)
        matches = [match for match in matches if match.reading_id in pages]
        best = sorted(matches, key=lambda match: (-match.probability, match.reading_id, match.start))
        return list(_hits(connection, phrase, without_overlaps(best)[:limit], pages))


def _readings_of(connection: Connection, *, book: str | None, run_id: int | None) -> NDArray[np.int64] | None:
    """List the readings of a book or a run; None where all are asked for."""
    if book is None and run_id is None:
        return None
    reading, page, run_page = tables.reading.c, tables.page.c, tables.run_page.c
    wanted = select(reading.id).join(tables.page, page.id == reading.page_id)
    if book is not None:
        wanted = wanted.where(page.book.in_(forms(book)))
    if run_id is not None:
        wanted = wanted.join(tables.run_page, run_page.page_id == page.id).where(run_page.run_id == run_id)
    return np.fromiter(connection.scalars(wanted), np.int64)


def _candidates(
    connection: Connection, places: Sequence[frozenset[str] | None], among: NDArray[np.int64] | None
) -> list[tuple[int, int]]:
    """Choose the readings and positions at which most of the phrase was read, the rarest labels first."""
    keys: list[NDArray[np.int64]] = []
    for number, labels, following in _rarest_first(connection, places):
        found = _starts(connection, labels, following, number)
        keys.append(found if among is None else found[np.isin(found // _POSITIONS, among)])
        if len(keys) > 1 and sum(map(len, keys)) > _ENOUGH:
            break  # where the commonest labels stand says little, and takes most of the time
    weights = [np.full(len(found), math.log(_VERY_MANY / (1 + len(found)))) for found in keys]
    starts, which = np.unique(np.concatenate(keys), return_inverse=True)
    if not len(starts):
        return []
    votes = np.bincount(which, np.concatenate(weights))
    # Where a character was missed, or one too many seen, the rest of the phrase stands one place aside.
    is_next = np.diff(starts) == 1
    whole = votes.copy()
    whole[:-1][is_next] += 0.7 * votes[1:][is_next]
    whole[1:][is_next] += 0.7 * votes[:-1][is_next]
    chosen = starts[np.argsort(-whole, kind="stable")[:_N_CANDIDATES]]
    pairs = zip((chosen // _POSITIONS).tolist(), (chosen % _POSITIONS - _SHIFT).tolist(), strict=True)
    return list(pairs)


def _rarest_first(
    connection: Connection, places: Sequence[frozenset[str] | None]
) -> list[tuple[int, frozenset[str], frozenset[str] | None]]:
    """Order the places of a phrase by how rare their labels are; the commonest go with their neighbours."""
    character = tables.character.c
    counted = []
    for number, labels in enumerate(places):
        if labels is not None:
            some = select(character.position).where(character.label.in_(sorted(labels))).limit(_MOST_PLACES)
            count = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
            following = places[number + 1] if number + 1 < len(places) else None
            counted.append((count, number, labels, following if count == _MOST_PLACES else None))
    return [found[1:] for found in sorted(counted, key=lambda one: one[:2])]


def _starts(
    connection: Connection, labels: frozenset[str], following: frozenset[str] | None, number: int
) -> NDArray[np.int64]:
    """Give where the phrase would begin, by each place at which one of its labels was read."""
    character = tables.character.c
    place = cast(character.reading_id, BigInteger) * _POSITIONS + character.position
    wanted = select(place).where(character.label.in_(sorted(labels)))
    if following is not None:
        wanted = wanted.where(character.next_label.in_(sorted(following)))
    cursor = connection.execute(wanted.limit(_MOST_PLACES)).cursor
    assert cursor is not None
    # From the driver as they come: rows of SQLAlchemy would take most of the time.
    found = np.fromiter(chain.from_iterable(cursor.fetchall()), np.int64)
    starts: NDArray[np.int64] = found - number + _SHIFT
    return starts


def _pages(
    connection: Connection, reading_ids: Sequence[int], run_id: int | None, recipe: str | None
) -> Mapping[int, RowMapping]:
    """Fetch what a hit tells of its page, of those readings that are shown."""
    page, source, reading = tables.page.c, tables.page_source.c, tables.reading.c
    of_page = (page.id.label("page_id"), page.name.label("page"), page.book)
    wanted = (
        select(*of_page, source.archive, source.member, reading.id.label("reading_id"))
        .select_from(tables.reading)
        .join(tables.page, page.id == reading.page_id)
        .join(tables.page_source, source.id == newest_source())
        .where(reading.id.in_(reading_ids), is_newest_done(recipe_prefix=recipe, run_id=run_id, of_few=True))
    )
    return {row["reading_id"]: row for row in connection.execute(wanted).mappings()}


def _matches(
    connection: Connection, phrase: Phrase, candidates: Sequence[tuple[int, int]]
) -> Iterator[Match]:
    """Lay the phrase along the characters at each of some places, as far as it fits there."""
    if not candidates:
        return
    reach = phrase.n_characters + 4
    known = {row[:2]: Read(*row[1:]) for row in _windows(connection, candidates, reach)}
    for reading_id, position in candidates:
        places = ((reading_id, number) for number in range(max(0, position - 2), position - 2 + reach))
        rows = [known[place] for place in places if place in known]
        match = laid_along(reading_id, phrase.stretches[0], rows)
        if match is not None:
            yield match


def _windows(
    connection: Connection, candidates: Sequence[tuple[int, int]], reach: int
) -> Sequence[tuple[int, int, str, float, str]]:
    """Fetch what was read around some places, its next-best labels as the text that they are kept as."""
    character = tables.character.c
    place = values(column("reading_id", BigInteger), column("position", BigInteger), name="places")
    wanted = place.data(list(candidates)).cte("places")
    around = character.position.between(wanted.c.position - 2, wanted.c.position - 2 + reach - 1)
    rows = select(
        *(character.reading_id, character.position, character.label, character.confidence),
        cast(character.alternatives, Text),
    ).join_from(wanted, tables.character, and_(character.reading_id == wanted.c.reading_id, around))
    cursor = connection.execute(rows).cursor
    assert cursor is not None
    return cursor.fetchall()


def _hits(
    connection: Connection, phrase: Phrase, matches: Sequence[Match], pages: Mapping[int, RowMapping]
) -> Iterator[Hit]:
    known: dict[tuple[int, int], Row[Any]] = {}
    for first in range(0, len(matches), _AT_ONCE):
        places = [(match.reading_id, match.start) for match in matches[first : first + _AT_ONCE]]
        known |= rows_around(connection, places, N_CONTEXT, phrase.n_characters + 2)
    for match in matches:
        hit: Any = {**pages[match.reading_id], "position": match.start}
        why = _why(phrase.text, match, stretch_of(known, match.reading_id, match.start, match.end))
        yield make_hit(hit, known, match.end - match.start, why=why, probability=match.probability)


def _why(text: str, match: Match, taken: Sequence[Row[Any]]) -> str:
    """Say which characters are not those that were read, with their probability there."""
    if len(taken) != len(text):
        glyphs = "".join(row.label for row in taken)
        if len(taken) > len(text):
            return f"{glyphs}: one too many was read"
        return f"{glyphs}: one was missed"
    pairs = zip(text, match.chances, taken, strict=True)
    return ", ".join(
        f"{char} {chance:.2f} read as {row.label} {row.confidence:.2f}"
        for char, chance, row in pairs
        if row.label != char and char != "?"
    )
