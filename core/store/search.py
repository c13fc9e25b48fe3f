"""Find characters and phrases in what was read.

A phrase is a chain of characters at consecutive positions of one reading. Each row knows the next
label, so that an index finds the first two; the table is joined with itself for the others. It is the same on
both databases, from one character up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Row,
    RowMapping,
    Select,
    Subquery,
    and_,
    exists,
    or_,
    select,
    union_all,
)

from fumikura.core.archives.names import forms
from fumikura.core.page import Box
from fumikura.core.phrases import LONGEST_GAP, Phrase, understand
from fumikura.core.store import tables
from fumikura.core.store.hits import Hit as Hit
from fumikura.core.store.hits import explain
from fumikura.core.store.relations import check_run, is_newest_done, newest_source
from fumikura.core.store.transactions import read_transaction

#: Characters shown before and after a hit.
N_CONTEXT = 10
#: Hits whose surroundings are fetched at once.
_HITS_AT_ONCE = 200
#: All but the next-best labels, whose JSON takes as long to read as all the rest.
SHOWN = [column for column in tables.character.columns if column.name != "alternatives"]


def find_characters(
    engine: Engine,
    text: str,
    *,
    book: str | None = None,
    page_id: int | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    min_confidence: float | None = None,
    as_written: bool = False,
    limit: int = 50,
) -> list[Hit]:
    """Find where a character or a phrase was read, also across the end of a column.

    Of each page the newest done reading counts, unless `run_id` or `recipe` choose another.

    Args:
        text: also with `?` for any character and `*` for some, as `phrases.understand` has it.
        recipe: the beginning of a recipe's digest.
        min_confidence: of every character of the phrase.
        as_written: neither ゐ for い, ナ for な nor ゝ for what it repeats.

    Raises:
        FumikuraError: the text holds no character, or too many, or there is no such run.
    """
    phrase = understand(text, as_written=as_written)
    conditions = [is_newest_done(recipe_prefix=recipe, run_id=run_id)]
    if book is not None:
        conditions.append(tables.page.c.book.in_(forms(book)))
    if page_id is not None:
        conditions.append(tables.page.c.id == page_id)
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        start_at_the_label(connection)
        branches = list(_branches(connection, phrase, min_confidence=min_confidence))
        if not branches:
            return []
        ordered = [_hits(branch, conditions, limit) for branch in branches]
        statement: Any = ordered[0]
        if len(ordered) > 1:
            parts = union_all(*(select(one.subquery()) for one in ordered)).subquery()
            statement = select(parts).order_by(parts.c.reading_id, parts.c.position).limit(limit)
        found = connection.execute(statement).mappings().all()
        return list(with_surroundings(connection, found, phrase))


def start_at_the_label(connection: Connection) -> None:
    """Let PostgreSQL go from each hit to its page, as SQLite does anyway.

    It takes two labels for independent, expects more hits of a rare phrase than there are, and would walk
    through all readings beside them to be done sooner.
    """
    if connection.dialect.name == "postgresql":
        settings = ("enable_mergejoin", "enable_hashjoin", "jit")
        connection.exec_driver_sql("; ".join(f"SET LOCAL {name} = off" for name in settings))


def match_phrase(text: str, *, min_confidence: float | None = None) -> Subquery:
    """Make a subquery of the places of a phrase: `reading_id` and `position` of its first character.

    Raises:
        FumikuraError: the text holds no character, or too many.
    """
    phrase = understand(text)
    first = tables.character.alias("character_0")
    starts = [_is_one_of(first.c.label, phrase.stretches[0][0])]
    if len(phrase.stretches[0]) > 1:
        starts.append(_is_one_of(first.c.next_label, phrase.stretches[0][1]))
    return _match(phrase, first, starts, min_confidence=min_confidence).subquery("phrase")


def hit_columns(places: FromClause) -> Select[Any]:
    """Choose what a hit tells of its page, for places with `reading_id` and `position`."""
    page, source = tables.page.c, tables.page_source.c
    of_page = (page.id.label("page_id"), page.name.label("page"), page.book)
    return (
        select(*of_page, source.archive, source.member, places.c.reading_id, places.c.position)
        .select_from(places)
        .join(tables.reading, tables.reading.c.id == places.c.reading_id)
        .join(tables.page, page.id == tables.reading.c.page_id)
        .join(tables.page_source, source.id == newest_source())
    )


def _hits(branch: Subquery, conditions: Sequence[ColumnElement[bool]], limit: int) -> Select[Any]:
    # The order of the index, so that a common character costs no more than its first hits.
    ordered = hit_columns(branch).where(*conditions).order_by(branch.c.reading_id, branch.c.position)
    return ordered.limit(limit)


def _branches(connection: Connection, phrase: Phrase, *, min_confidence: float | None) -> Iterator[Subquery]:
    """Make a subquery for each pair of labels with which the phrase may begin, as the index has them.

    Of several labels at once no database gives the hits in order without finding them all first.
    """
    stretch = phrase.stretches[0]
    seconds: Iterable[str | None] = [None]
    if len(stretch) > 1 and stretch[1] is not None:
        seconds = _known(connection, stretch[1])
    assert stretch[0] is not None
    for number, (label, following) in enumerate(product(_known(connection, stretch[0]), seconds)):
        first = tables.character.alias("character_0")
        starts = [first.c.label == label]
        if following is not None:
            starts.append(first.c.next_label == following)
        yield _match(phrase, first, starts, min_confidence=min_confidence).subquery(f"phrase_{number}")


def _known(connection: Connection, labels: frozenset[str]) -> list[str]:
    """List those of some labels that were read anywhere."""
    if len(labels) == 1:
        return list(labels)
    character = tables.character.c
    one_each = [
        select(select(character.label).where(character.label == label).limit(1).subquery(f"label_{number}"))
        for number, label in enumerate(sorted(labels))
    ]
    return list(connection.scalars(union_all(*one_each)))


def _match(
    phrase: Phrase,
    first: Any,
    starts: Sequence[ColumnElement[bool]],
    *,
    min_confidence: float | None,
) -> Select[Any]:
    conditions = list(starts)
    joined, more = _joined(first, phrase.stretches[0], min_confidence, n_known=2)
    conditions += more
    if len(phrase.stretches) > 1:
        conditions.append(_follows(first, phrase, 1, min_confidence))
    return select(first.c.reading_id, first.c.position).select_from(joined).where(*conditions)


def _joined(
    first: Any, stretch: Sequence[frozenset[str] | None], min_confidence: float | None, *, n_known: int
) -> tuple[FromClause, list[ColumnElement[bool]]]:
    """Join the characters of a stretch to its first; the labels of the first `n_known` are asked for."""
    joined: FromClause = first
    conditions = []
    for number, labels in enumerate(stretch):
        following = first
        if number >= n_known or (number and min_confidence is not None):
            following = tables.character.alias(f"{first.name}_{number}")
            stands_next = and_(
                following.c.reading_id == first.c.reading_id,
                following.c.position == first.c.position + number,
                _is_one_of(following.c.label, labels),
            )
            joined = joined.join(following, stands_next)
        if min_confidence is not None:
            conditions.append(following.c.confidence >= min_confidence)
    return joined, conditions


def _follows(before: Any, phrase: Phrase, number: int, min_confidence: float | None) -> ColumnElement[bool]:
    """Make the condition that the next stretch stands behind one, over a gap at most."""
    stretch = phrase.stretches[number]
    first = tables.character.alias(f"stretch_{number}")
    joined, conditions = _joined(first, stretch, min_confidence, n_known=1)
    start = before.c.position + len(phrase.stretches[number - 1])
    conditions += [
        first.c.reading_id == before.c.reading_id,
        first.c.position.between(start, start + LONGEST_GAP),
        _is_one_of(first.c.label, stretch[0]),
    ]
    if number + 1 < len(phrase.stretches):
        conditions.append(_follows(first, phrase, number + 1, min_confidence))
    return exists(select(first.c.position).select_from(joined).where(*conditions))


def _is_one_of(column: ColumnElement[str], labels: frozenset[str] | None) -> ColumnElement[bool]:
    if labels is None:
        return column.is_not(None)
    return column.in_(sorted(labels)) if len(labels) > 1 else column == next(iter(labels))


def with_surroundings(connection: Connection, found: Sequence[RowMapping], phrase: Phrase) -> Iterator[Hit]:
    """Make the hits of the rows that say where they begin."""
    reach = phrase.n_characters + LONGEST_GAP * (len(phrase.stretches) - 1)
    for start in range(0, len(found), _HITS_AT_ONCE):
        hits = found[start : start + _HITS_AT_ONCE]
        known = rows_around(
            connection, [(hit["reading_id"], hit["position"]) for hit in hits], N_CONTEXT, reach
        )
        for hit in hits:
            reading_id, position = hit["reading_id"], hit["position"]
            behind = stretch_of(known, reading_id, position, position + reach)
            length = phrase.length([row.label for row in behind])
            assert length is not None
            yield make_hit(hit, known, length, why=explain(phrase.text, behind[:length]))


def rows_around(
    connection: Connection, places: Sequence[tuple[int, int]], before: int, reach: int, *columns: Any
) -> Mapping[tuple[int, int], Row[Any]]:
    """Fetch the characters around some places, by reading and position."""
    character = tables.character.c
    around = [
        and_(
            character.reading_id == reading_id,
            character.position.between(position - before, position + reach - 1 + before),
        )
        for reading_id, position in places
    ]
    rows = connection.execute(select(*SHOWN, *columns).where(or_(*around)))
    return {(row.reading_id, row.position): row for row in rows}


def stretch_of(
    known: Mapping[tuple[int, int], Row[Any]], reading_id: int, start: int, end: int
) -> list[Row[Any]]:
    """Give the characters of a reading from one position up to another, as far as there are any."""
    places = ((reading_id, position) for position in range(start, end))
    return [known[place] for place in places if place in known]


def make_hit(hit: RowMapping, known: Mapping[tuple[int, int], Row[Any]], length: int, **more: Any) -> Hit:
    """Make a hit of so many characters, with those around it."""
    reading_id, start = hit["reading_id"], hit["position"]
    end = start + length
    matched = stretch_of(known, reading_id, start, end)
    return Hit(
        **hit,
        column_number=matched[0].column_number,
        boxes=tuple(Box(row.x, row.y, row.width, row.height) for row in matched),
        label=_text(matched),
        confidence=min(row.confidence for row in matched),
        before=_text(stretch_of(known, reading_id, start - N_CONTEXT, start)),
        after=_text(stretch_of(known, reading_id, end, end + N_CONTEXT)),
        **more,
    )


def _text(rows: Sequence[Row[Any]]) -> str:
    return "".join(row.label for row in rows)
