"""Keep what people put right, and let every reading of the page say it.

The rows of `character` hold what people say, so that all that asks them needs to know nothing of
corrections; what the weights had read is kept beside them (`corrected_reading`), to be scored and to be
gone back to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from fumikura.core.corrections import Correction, Kind, corrected, named_by_people
from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, Character, LabelledBox, Reading, Truth, column_texts
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows
from fumikura.core.store.lookup import as_read, find_page_id
from fumikura.core.store.reading_status import lock_readings
from fumikura.core.store.rows import character_rows, row_to_character, storable
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import now, read_transaction, upsert, write_transaction

_correction = tables.correction.c


@dataclass(frozen=True, slots=True)
class Act:
    """An act is what a person did at once: corrections that are undone together."""

    act: int
    page_id: int
    who: str
    made_at: datetime
    undone_at: datetime | None
    corrections: tuple[Correction, ...]

    @property
    def kind(self) -> Kind:
        """Tell what was done."""
        return self.corrections[-1].kind


def correct(engine: Engine, page: str | int, corrections: Sequence[Correction], *, who: str) -> int:
    """Note what a person put right on a page, show it in all readings, and give the number of the act.

    Raises:
        ValueError: there are no corrections.
        FumikuraError: there is no such page.
    """
    if not corrections:
        raise ValueError("an act needs at least one correction")
    with write_transaction(engine) as connection:
        page_id = find_page_id(connection, page)
        # All of them, so that who saves one just now has saved it, or will see this correction.
        lock_readings(connection, tables.reading.c.page_id == page_id)
        shared = {"page_id": page_id, "who": storable(who), "made_at": now(connection)}
        rows = [{**_row(one), **shared, "act": 0} for one in corrections]
        first = insert(tables.correction).returning(_correction.id)
        act: int = connection.execute(first, rows[0]).scalar_one()
        connection.execute(update(tables.correction).where(_correction.id == act).values(act=act))
        if rows[1:]:
            connection.execute(insert(tables.correction), [{**row, "act": act} for row in rows[1:]])
        _show(connection, page_id)
    return act


def undo(engine: Engine, page: str | int, *, act: int | None = None) -> Act | None:
    """Undo an act on a page, the last one that stands unless another is named; None if there is none.

    Raises:
        FumikuraError: there is no such page, or no such act that stands.
    """
    with write_transaction(engine) as connection:
        page_id = find_page_id(connection, page)
        lock_readings(connection, tables.reading.c.page_id == page_id)
        stands = (_correction.page_id == page_id, _correction.undone_at.is_(None))
        last = connection.scalar(select(func.max(_correction.act)).where(*stands))
        chosen = last if act is None else act
        if chosen is None:
            return None
        undone = update(tables.correction).where(*stands, _correction.act == chosen)
        if not connection.execute(undone.values(undone_at=now(connection))).rowcount:
            raise FumikuraError(f"there is no act {act} on this page that could be undone")
        _show(connection, page_id)
        (found,) = (one for one in _acts(connection, [page_id]) if one.act == chosen)
        return found


def history(engine: Engine, page: str | int) -> list[Act]:
    """List what people did on a page, the oldest first, also what was undone.

    Raises:
        FumikuraError: there is no such page.
    """
    with read_transaction(engine) as connection:
        return _acts(connection, [find_page_id(connection, page)])


def named_boxes(engine: Engine, page_id: int) -> dict[Box, str]:
    """Give the boxes of a page that people put right or confirmed, with their labels."""
    with read_transaction(engine) as connection:
        return named_by_people(standing_corrections(connection, [page_id]).get(page_id, ()))


def corrected_truths(engine: Engine, *, book: str | None = None) -> dict[str, Truth]:
    """Give what people put right or confirmed as truth, by the digest of the page.

    It is partial, unless the whole page was confirmed.
    """
    page = tables.page.c
    wanted = select(page.id, page.digest).where(page.id.in_(pages_put_right())).order_by(page.id)
    if book is not None:
        wanted = wanted.where(page.book == book)
    with read_transaction(engine) as connection:
        digests: dict[int, str] = dict(connection.execute(wanted).all())
        standing = standing_corrections(connection, list(digests))
    return {digests[page_id]: _truth(corrections) for page_id, corrections in standing.items()}


def _truth(corrections: Sequence[Correction]) -> Truth:
    is_complete = any(one.kind == Kind.PAGE for one in corrections)
    boxes = tuple(LabelledBox(box, label) for box, label in named_by_people(corrections).items())
    return Truth(boxes=boxes, is_partial=not is_complete, is_ordered=is_complete)


def standing_corrections(connection: Connection, page_ids: Sequence[int]) -> dict[int, list[Correction]]:
    """Fetch the corrections of some pages that were not undone, in the order in which they were made."""
    found: dict[int, list[Correction]] = defaultdict(list)
    for act in _acts(connection, page_ids):
        if act.undone_at is None:
            found[act.page_id] += act.corrections
    return found


def pages_put_right(*, are_confirmed: bool = False) -> Select[tuple[int]]:
    """Choose the ids of the pages that people put right, or of those that were confirmed as a whole."""
    stands = select(_correction.page_id).where(_correction.undone_at.is_(None))
    return stands.where(_correction.kind == Kind.PAGE) if are_confirmed else stands


def put_right(connection: Connection, readings: Mapping[int, tuple[int, Reading]]) -> dict[int, Reading]:
    """Put readings right that are just being saved, and keep what was read; others are left out.

    Args:
        readings: by their ids, each with the id of its page.
    """
    standing = standing_corrections(connection, [page_id for page_id, _ in readings.values()])
    right = {}
    for reading_id, (page_id, reading) in readings.items():
        if corrections := standing.get(page_id):
            _keep(connection, reading_id, reading.characters)
            right[reading_id] = replace(reading, characters=corrected(reading.characters, corrections))
    return right


def _show(connection: Connection, page_id: int) -> None:
    """Write the characters of all readings of a page as people put them right."""
    reading = tables.reading.c
    corrections = standing_corrections(connection, [page_id]).get(page_id, [])
    done = select(reading.id).where(reading.page_id == page_id, reading.status == Status.DONE)
    for reading_id in connection.scalars(done.order_by(reading.id)).all():
        read = as_read(connection, reading_id)
        if read is None:
            read = _shown(connection, reading_id)
        _keep(connection, reading_id, read)
        right = corrected(read, corrections)
        connection.execute(delete(tables.character).where(tables.character.c.reading_id == reading_id))
        insert_rows(connection, tables.character, character_rows(reading_id, right))
        connection.execute(update(tables.reading).where(reading.id == reading_id).values(_summary(right)))


def _shown(connection: Connection, reading_id: int) -> tuple[Character, ...]:
    character = tables.character.c
    rows = select(tables.character).where(character.reading_id == reading_id).order_by(character.position)
    return tuple(map(row_to_character, connection.execute(rows)))


def _summary(characters: tuple[Character, ...]) -> dict[str, Any]:
    n_characters = len(characters)
    mean = sum(one.confidence for one in characters) / n_characters if characters else None
    return {
        "n_characters": n_characters,
        "mean_confidence": mean,
        "text": "\n".join(column_texts(characters)),
    }


def _keep(connection: Connection, reading_id: int, characters: Iterable[Character]) -> None:
    """Keep what was read, unless it is kept already, and note that it is shown otherwise from now on."""
    kept = list(map(_as_json, characters))
    values = {"reading_id": reading_id, "as_read": kept, "corrected_at": now(connection)}
    statement = upsert(connection, tables.corrected_reading).values(values)
    changed = {"corrected_at": statement.excluded.corrected_at}
    connection.execute(statement.on_conflict_do_update(index_elements=["reading_id"], set_=changed))


def _as_json(character: Character) -> dict[str, Any]:
    """Write all that is known of a character, as it would come out of the table `character`."""
    rounded = [[label, round(share, 4)] for label, share in character.alternatives]
    values = {field.name: getattr(character, field.name) for field in fields(character)}
    return {**values, "box": list(astuple(character.box)), "alternatives": rounded}


def _acts(connection: Connection, page_ids: Sequence[int]) -> list[Act]:
    rows = select(tables.correction).where(_correction.page_id.in_(page_ids)).order_by(_correction.id)
    acts: dict[int, Act] = {}
    for row in connection.execute(rows):
        act = acts.get(row.act) or Act(row.act, row.page_id, row.who, row.made_at, row.undone_at, ())
        acts[row.act] = replace(act, corrections=(*act.corrections, _correction_of(row)))
    return list(acts.values())


def _row(correction: Correction) -> dict[str, Any]:
    def numbers(box: Box | None) -> list[int] | None:
        return None if box is None else [box.x, box.y, box.width, box.height]

    return {
        "kind": correction.kind.value,
        "old_box": numbers(correction.old),
        "old_label": correction.old_label,
        "new_box": numbers(correction.new),
        "label": correction.label,
        "role": correction.role,
        "after_box": numbers(correction.after),
    }


def _correction_of(row: Any) -> Correction:
    old, new, after = (
        None if one is None else Box(*one) for one in (row.old_box, row.new_box, row.after_box)
    )
    return Correction(Kind(row.kind), old, row.old_label, new, row.label, row.role, after)
