"""Fetch what stands on many pages at once: their characters, and the places where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from fumikura.core.corrections import named_by_people
from fumikura.core.folding import fold, written_as
from fumikura.core.page import Box, Character, Role
from fumikura.core.store import tables
from fumikura.core.store.corrections import standing_corrections

#: Looked up, since making enumerations of millions of texts takes its time.
_ROLES = {role.value: role for role in Role}

#: By page: archive, member, label and canvas of each place.
Sources = Mapping[int, list[tuple[str, str, str | None, str | None]]]
Characters = Mapping[int, list[tuple[int, Character]]]


def of_people(connection: Connection, characters: Characters, page_ids: Mapping[int, int]) -> Characters:
    """Leave out the characters that nobody put right or confirmed."""
    standing = standing_corrections(connection, list(page_ids.values()))
    named = {reading: named_by_people(standing.get(page, ())) for reading, page in page_ids.items()}
    return {
        reading_id: [(position, one) for position, one in found if one.box in named[reading_id]]
        for reading_id, found in characters.items()
    }


def fetch_sources(connection: Connection, page_ids: Sequence[int]) -> Sources:
    """Fetch the places of some pages, by page, the one seen last first."""
    source = tables.page_source.c
    rows = connection.execute(
        select(source.page_id, source.archive, source.member, source.label, source.canvas)
        .where(source.page_id.in_(page_ids))
        .order_by(source.seen_at.desc(), source.id.desc())
    )
    places = defaultdict(list)
    for page_id, archive, member, label, canvas in rows:
        places[page_id].append((archive, member, label, canvas))
    return places


def fetch_characters(
    connection: Connection,
    reading_ids: Sequence[int],
    *,
    alternatives: bool,
    min_confidence: float | None = None,
    max_confidence: float | None = None,
    role: str | None = None,
    labels: frozenset[str] | None = None,
) -> Characters:
    """Fetch the characters of some readings with their positions, by reading, in reading order.

    Args:
        alternatives: fetch the next-best labels too.
        min_confidence: leave out what is less sure.
        max_confidence: leave out what is surer.
        role: leave out what has another one.
        labels: leave out all but these, in whatever form they are written.
    """
    character = tables.character.c
    # In this order, since taking values by their names is what would take most of the time.
    box = (character.x, character.y, character.width, character.height)
    of_label = (character.label, character.confidence, character.column_number)
    of_layout = (character.leaf, character.role, character.base)
    statement = (
        select(character.reading_id, character.position, *box, *of_label, *of_layout)
        .where(character.reading_id.in_(reading_ids))
        .order_by(character.reading_id, character.position)
    )
    if alternatives:
        statement = statement.add_columns(character.alternatives)
    if min_confidence is not None:
        statement = statement.where(character.confidence >= min_confidence)
    if max_confidence is not None:
        statement = statement.where(character.confidence <= max_confidence)
    if role is not None:
        statement = statement.where(character.role == role)
    if labels is not None:
        forms = {form for label in map(fold, labels) for form in (label, *written_as(label))}
        statement = statement.where(character.label.in_(sorted(forms)))
    found: dict[int, list[tuple[int, Character]]] = defaultdict(list)
    rows: Sequence[Any] = connection.execute(statement).all()
    for (
        reading_id,
        position,
        x,
        y,
        width,
        height,
        label,
        confidence,
        column,
        leaf,
        role_name,
        base,
        *others,
    ) in rows:
        best = tuple(map(tuple, others[0])) if others else ()
        at = Box(x, y, width, height)
        one = Character(at, label, confidence, best, column, leaf, _ROLES[role_name], base)
        found[reading_id].append((position, one))
    return found
