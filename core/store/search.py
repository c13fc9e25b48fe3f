"""Find characters and phrases in what was read.

A phrase is a chain of characters at consecutive positions of one reading. Each row knows the next
label, so that an index finds the first two; the table is joined with itself for the others. It is the same on
both databases, from one character up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, FromClause, Row, RowMapping, Subquery, and_, or_, select

from fumikura.core.archives.names import forms
from fumikura.core.errors import FumikuraError
from fumikura.core.folding import fold
from fumikura.core.page import Box
from fumikura.core.store import tables
from fumikura.core.store.relations import check_run, is_newest_done, newest_source
from fumikura.core.store.transactions import read_transaction
from fumikura.core.vocabulary import clean_text

#: Characters shown before and after a hit.
N_CONTEXT = 10
#: SQLite joins at most 64 tables.
LONGEST_PHRASE = 50
#: Hits whose surroundings are fetched at once.
_HITS_AT_ONCE = 200
#: All but the next-best labels, whose JSON takes as long to read as all the rest.
_SHOWN = [column for column in tables.character.columns if column.name != "alternatives"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A hit is a place on a page where the character or phrase stands.

    Attributes:
        position: of the first character, in reading order from 0.
        boxes: of each character of the phrase.
        confidence: of the least certain character.
        before: the characters that stand before, on the same page.
        after: likewise.
    """

    page_id: int
    page: str
    book: str
    archive: str
    member: str
    reading_id: int
    position: int
    column_number: int
    boxes: tuple[Box, ...]
    label: str
    confidence: float
    before: str
    after: str

    @property
    def box(self) -> Box:
        """Give the box of the first character."""
        return self.boxes[0]

    @property
    def context(self) -> str:
        """Write the hit among the characters around it."""
        return f"{self.before}{self.label}{self.after}"


def find_characters(
    engine: Engine,
    text: str,
    *,
    book: str | None = None,
    run_id: int | None = None,
    recipe: str | None = None,
    min_confidence: float | None = None,
    limit: int = 50,
) -> list[Hit]:
    """Find where a character or a phrase was read, also across the end of a column.

    Of each page the newest done reading counts, unless `run_id` or `recipe` choose another.

    Args:
        recipe: the beginning of a recipe's digest.
        min_confidence: of every character of the phrase.

    Raises:
        FumikuraError: the text holds no character, or too many, or there is no such run.
    """
    page, source = tables.page.c, tables.page_source.c
    phrase = match_phrase(text, min_confidence=min_confidence)
    statement = (
        select(
            page.id.label("page_id"),
            page.name.label("page"),
            page.book,
            source.archive,
            source.member,
            phrase.c.reading_id,
            phrase.c.position,
        )
        .select_from(phrase)
        .join(tables.reading, tables.reading.c.id == phrase.c.reading_id)
        .join(tables.page, page.id == tables.reading.c.page_id)
        .join(tables.page_source, source.id == newest_source())
        .where(is_newest_done(recipe_prefix=recipe, run_id=run_id))
        # The order of the index, so that a common character costs no more than its first hits.
        .order_by(phrase.c.reading_id, phrase.c.position)
        .limit(limit)
    )
    if book is not None:
        statement = statement.where(page.book.in_(forms(book)))
    with read_transaction(engine) as connection:
        check_run(connection, run_id)
        _start_at_the_label(connection)
        found = connection.execute(statement).mappings().all()
        return list(_with_surroundings(connection, found, n_characters=len(clean_text(text))))


def _start_at_the_label(connection: Connection) -> None:
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
    labels = fold(clean_text(text))  # as those of the classifier are: 気 for 氣
    if not 0 < len(labels) <= LONGEST_PHRASE:
        raise FumikuraError(
            f"{text!r} holds {len(labels)} characters to search for; give 1 to {LONGEST_PHRASE}"
        )
    first = tables.character.alias("character_0")
    phrase: FromClause = first
    conditions = [first.c.label == labels[0]]
    if len(labels) > 1:
        conditions.append(first.c.next_label == labels[1])
    for number, label in enumerate(labels):
        following = first if number == 0 else tables.character.alias(f"character_{number}")
        if number > 1 or (number == 1 and min_confidence is not None):
            stands_next = and_(
                following.c.label == label,
                following.c.reading_id == first.c.reading_id,
                following.c.position == first.c.position + number,
            )
            phrase = phrase.join(following, stands_next)
        if min_confidence is not None:
            conditions.append(following.c.confidence >= min_confidence)
    return (
        select(first.c.reading_id, first.c.position).select_from(phrase).where(*conditions).subquery("phrase")
    )


def _with_surroundings(
    connection: Connection, found: Sequence[RowMapping], *, n_characters: int
) -> Iterator[Hit]:
    """Make the hits of the rows that say where they begin."""
    character = tables.character.c
    for start in range(0, len(found), _HITS_AT_ONCE):
        hits = found[start : start + _HITS_AT_ONCE]
        around = [
            and_(
                character.reading_id == hit["reading_id"],
                character.position.between(
                    hit["position"] - N_CONTEXT, hit["position"] + n_characters - 1 + N_CONTEXT
                ),
            )
            for hit in hits
        ]
        rows = connection.execute(select(*_SHOWN).where(or_(*around)))
        known = {(row.reading_id, row.position): row for row in rows}
        for hit in hits:
            yield _make_hit(hit, known, n_characters)


def _make_hit(hit: RowMapping, known: Mapping[tuple[int, int], Row[Any]], n_characters: int) -> Hit:
    def stretch(start: int, end: int) -> list[Row[Any]]:
        places = ((hit["reading_id"], position) for position in range(start, end))
        return [known[place] for place in places if place in known]

    start, end = hit["position"], hit["position"] + n_characters
    matched = stretch(start, end)
    return Hit(
        **hit,
        column_number=matched[0].column_number,
        boxes=tuple(Box(row.x, row.y, row.width, row.height) for row in matched),
        label=_joined(matched),
        confidence=min(row.confidence for row in matched),
        before=_joined(stretch(start - N_CONTEXT, start)),
        after=_joined(stretch(end, end + N_CONTEXT)),
    )


def _joined(rows: Sequence[Row[Any]]) -> str:
    return "".join(row.label for row in rows)
