"""This module writes a table that people correct in a spreadsheet, with the picture of each character, and
takes it back.

A row is a character, by the number of its crop. The last column is left for people: the right label, or `-`
where there is no character; the label that was read confirms it, and an empty cell says nothing.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.scans import read_scan
from fumikura.core.corrections import Correction, Kind
from fumikura.core.errors import PageError, UsageError
from fumikura.core.export.folder import opened_folder
from fumikura.core.export.formats import Style
from fumikura.core.page import Box, Character
from fumikura.core.read_page import ReadPage
from fumikura.core.store.connecting import Engine
from fumikura.core.store.corrections import correct, named_boxes
from fumikura.core.store.lookup import get_page
from fumikura.core.store.read_pages import Selection, stream_pages
from fumikura.core.vocabulary import clean_text

TABLE = "corrections.csv"
COLUMNS = (
    *("crop", "page", "digest", "position", "x", "y", "width", "height"),
    *("read", "confidence", "others", "right"),
)
#: What people write where there is no character.
NOTHING = "-"
#: Of a character's size, shown around it.
_AROUND = 0.35
_PAGES_AT_ONCE = 10


@dataclass(slots=True)
class SheetWritten:
    """This counts what a table got."""

    n_pages: int = 0
    n_characters: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class SheetTaken:
    """This counts what came of the rows of a table that people filled in.

    Attributes:
        n_labels, n_deleted, n_confirmed: characters.
        n_known: rows that say what stands there already.
        conflicts: rows that were not taken, each with the line, the page and the reason.
    """

    n_labels: int = 0
    n_deleted: int = 0
    n_confirmed: int = 0
    n_known: int = 0
    conflicts: list[str] = field(default_factory=list)


def write_sheet(
    engine: Engine,
    selection: Selection,
    out: Path,
    *,
    unsure_below: float | None,
    style: Style,
    progress: Callable[[int], None],
) -> SheetWritten:
    """Write the table and a folder `crops` of pictures; crops count from 1 through all pages.

    Args:
        unsure_below: only characters of less confidence; None takes all.

    Raises:
        UsageError: the folder holds something else, or a table that was changed.
    """
    written = SheetWritten()
    what = {"format": "corrections", "unsure": unsure_below, "selection": repr(selection)}
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    pages = stream_pages(engine, selection)
    with opened_folder(out, what) as folder, folder.new_files("table", "") as new:
        while some := list(islice(pages, _PAGES_AT_ONCE)):
            for page in some:
                written.n_pages += 1
                progress(written.n_pages)
                chosen = list(_chosen(page, unsure_below))
                try:
                    crops = list(_crops(page, [one for _, one in chosen], style))
                except PageError as error:
                    written.left_out.append((page.name, str(error)))
                    continue
                for (position, one), crop in zip(chosen, crops, strict=True):
                    written.n_characters += 1
                    rows.writerow(_row(written.n_characters, page, position, one))
                    with new.open(f"crops/{written.n_characters:06}.png") as file:
                        file.write(crop)
        with new.open(TABLE) as file:
            file.write(table.getvalue().encode("utf-8-sig"))  # without the mark Excel shows no Japanese
    return written


def _chosen(page: ReadPage, unsure_below: float | None) -> Iterator[tuple[int, Character]]:
    for position, one in zip(page.positions, page.characters, strict=True):
        if unsure_below is None or one.confidence < unsure_below:
            yield position, one


def _row(number: int, page: ReadPage, position: int, one: Character) -> tuple[object, ...]:
    box = one.box
    others = " ".join(f"{label} {share:.2f}" for label, share in one.alternatives)
    place = (box.x, box.y, box.width, box.height)
    return (
        number,
        page.name,
        page.digest,
        position + 1,
        *place,
        one.label,
        f"{one.confidence:.4f}",
        others,
        "",
    )


def _crops(page: ReadPage, characters: Sequence[Character], style: Style) -> Iterator[bytes]:
    """Cut characters out of the scan, each with a little of what is around it."""
    if not characters:
        return
    data = read_scan(page.sources, page.digest, limits=style.limits)
    scan = Image.fromarray(decode(data, long_side=None, max_pixels=style.max_pixels).pixels)
    for one in characters:
        box, more = one.box, round(_AROUND * max(one.box.width, one.box.height))
        cut = scan.crop((box.x - more, box.y - more, box.x + box.width + more, box.y + box.height + more))
        png = io.BytesIO()
        cut.save(png, "PNG")
        yield png.getvalue()


def take_sheet(engine: Engine, path: Path, *, who: str) -> SheetTaken:
    """Take in what people filled in: the pages one after the other, each as one act.

    A row that no longer fits, because something else stands there now, is left out, and named. Taken in
    twice, nothing changes.

    Raises:
        UsageError: this is no such table.
    """
    taken = SheetTaken()
    by_page: dict[str, list[tuple[int, Mapping[str, str]]]] = defaultdict(list)
    for line, row in _rows(path):
        if clean_text(row["right"]) or row["right"].strip() == NOTHING:
            by_page[row["digest"]].append((line, row))
    for digest, rows in by_page.items():
        _take_page(engine, digest, rows, taken, who=who)
    return taken


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8; save it as “CSV UTF-8”") from error
    table = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise UsageError(
            f"{path} has no column {missing[0]!r}; give a table that `fumikura correct export` wrote"
        )
    for row in table:
        if any(row[name] is None for name in COLUMNS):
            raise UsageError(f"{path} ends in the middle of line {table.line_num}; save it again")
        yield table.line_num, row


def _take_page(
    engine: Engine, digest: str, rows: Iterable[tuple[int, Mapping[str, str]]], taken: SheetTaken, *, who: str
) -> None:
    page = get_page(engine, digest)
    stands = {one.box: one for one in page.characters}
    named, corrections = named_boxes(engine, page.page_id), dict[Box, Correction]()
    for line, row in rows:
        try:
            box = Box(*(int(row[name]) for name in ("x", "y", "width", "height")))
        except ValueError:
            taken.conflicts.append(f"line {line}, page {page.name}: its box is not in whole numbers")
            continue
        right = None if row["right"].strip() == NOTHING else clean_text(row["right"])
        one = stands.get(box)
        problem = _problem(row["read"], right, one, corrections.get(box))
        if problem is not None:
            taken.conflicts.append(f"line {line}, crop {row['crop']}, page {page.name}: {problem}")
        elif one is None or (box in named and named[box] == right):
            taken.n_known += 1
        else:
            corrections[box] = _correction(one, right)
    _count(taken, corrections.values())
    if corrections:
        correct(engine, page.page_id, list(corrections.values()), who=who)


def _problem(read: str, right: str | None, one: Character | None, earlier: Correction | None) -> str | None:
    """Say why a row cannot be taken; None if it can."""
    if right is not None and len(right) != 1:
        return f"{right!r} is not one character; boxes are split in the reading room (`fumikura serve`)"
    if one is None:
        return None if right is None else "no character has this box any more"
    if one.label not in (read, right):
        return f"{one.label} stands there now, and not {read}"
    if earlier is not None and earlier.label != right:
        return f"another row says {earlier.label or NOTHING}"
    return None


def _correction(one: Character, right: str | None) -> Correction:
    if right is None:
        return Correction(Kind.DELETE, old=one.box, old_label=one.label)
    kind = Kind.CONFIRM if right == one.label else Kind.LABEL
    return Correction(kind, old=one.box, old_label=one.label, new=one.box, label=right)


def _count(taken: SheetTaken, corrections: Iterable[Correction]) -> None:
    for one in corrections:
        taken.n_labels += one.kind == Kind.LABEL
        taken.n_deleted += one.kind == Kind.DELETE
        taken.n_confirmed += one.kind == Kind.CONFIRM
