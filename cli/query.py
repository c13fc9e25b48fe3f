"""fumikura query: ask the database what was read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click
from rich.table import Table
from rich.text import Text

from fumikura.cli import options
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import console_for, make_table, print_json, print_tables, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.page_list import ORDERS, Order, PageSummary, find_pages
from fumikura.core.store.search import Hit, find_characters
from fumikura.core.store.tables import Status

T = TypeVar("T")

#: Columns of the terminal that a hit's other cells take, its context left out.
_BESIDE_CONTEXT = 66


@click.group()
def command() -> None:
    """Ask the database: where a character or phrase stands, what is on the pages.

    \b
    Example:
      fumikura query characters 人
      fumikura query pages --max-dice 0.8
    """


@command.command("characters")
@click.argument("text")
@options.settings("database")
@options.book
@options.run_id
@options.recipe
@click.option("--min-confidence", type=FiniteRange(0, 1), metavar="P", help="Leave out what is less sure.")
@options.limit()
@options.as_json
def characters(
    settings: Settings,
    text: str,
    book: str | None,
    run_id: int | None,
    recipe: str | None,
    min_confidence: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """Where a character, or a phrase of several, was read.

    A phrase is also found where a column ends in the middle of it. Columns count from the
    right-hand edge, positions in reading order; both from 1, as `show` draws them (with
    --json from 0). The box is x,y and width×height in pixels of the page; `sure` is between
    0 and 1.

    \b
    Example:
      fumikura query characters 人
      fumikura query characters なりけり --book 200010454 --json
    """
    found = find_characters(
        open_existing(settings),
        text,
        book=book,
        run_id=run_id,
        recipe=recipe,
        min_confidence=min_confidence,
        limit=limit,
    )
    _answer(found, _hit_table, limit=limit, as_json=as_json)


@command.command("pages")
@options.settings("database")
@options.book
@options.run_id
@options.recipe
@click.option(
    "--status", type=click.Choice([status.value for status in Status]), help="Of the page's reading."
)
@click.option("--text", metavar="PHRASE", help="Only pages on which this was read.")
@click.option("--min-dice", type=FiniteRange(0, 1), metavar="D", help="Only pages that score so well.")
@click.option("--max-dice", type=FiniteRange(0, 1), metavar="D", help="Only pages that score so badly.")
@click.option("--suspicious", "is_suspicious", is_flag=True, help="Only pages that should be looked at.")
@click.option(
    "--max-confidence", type=FiniteRange(0, 1), metavar="P", help="Only pages that are on the mean so unsure."
)
@click.option(
    "--sort",
    "order",
    type=click.Choice(ORDERS),
    default="added",
    help="As they were added; or the least sure, the fewest characters or the worst Dice first (without"
    " those that have none).",
)
@options.limit()
@options.as_json
def pages(
    settings: Settings,
    book: str | None,
    run_id: int | None,
    recipe: str | None,
    status: str | None,
    text: str | None,
    min_dice: float | None,
    max_dice: float | None,
    is_suspicious: bool,
    max_confidence: float | None,
    order: Order,
    limit: int,
    as_json: bool,
) -> None:
    """List pages with what was found on them.

    Dice compares the mask with the truth, character F1 the characters; both stand only
    where there is truth. `look at` says why a page should be looked at: it is long as a scroll,
    white on black, its columns run across, it has few characters for its ink, low confidence or
    tiny characters. `fumikura show PAGE` draws a page.

    \b
    Example:
      fumikura query pages --book 200010454
      fumikura query pages --suspicious --sort confidence
      fumikura query pages --text 源氏
    """
    found = find_pages(
        open_existing(settings),
        book=book,
        run_id=run_id,
        recipe=recipe,
        status=Status(status) if status else None,
        text=text,
        min_dice=min_dice,
        max_dice=max_dice,
        is_suspicious=is_suspicious,
        max_confidence=max_confidence,
        order=order,
        limit=limit,
    )
    _answer(found, _page_table, limit=limit, as_json=as_json)


def _answer(found: list[T], table_of: Callable[[list[T]], Table], *, limit: int, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json(one)
        return
    if not found:
        say("nothing found")
        return
    print_tables(table_of(found))
    if len(found) == limit:
        say(f"the first {limit}; --limit shows more")
    else:
        say(f"{len(found)} found")


def _hit_table(hits: list[Hit]) -> Table:
    """Make a concordance: the hits stand below each other, with what surrounds them."""
    n_context = min(10, max(2, (console_for(sys.stdout).width - _BESIDE_CONTEXT) // 4))
    rows = [
        (
            hit.page,
            hit.column_number + 1,
            hit.position + 1,
            f"{hit.box.x},{hit.box.y} {hit.box.width}×{hit.box.height}",
            f"{hit.confidence:.2f}",
            hit.before[-n_context:],
            Text(hit.label, style="bold reverse"),
            hit.after[:n_context],
        )
        for hit in hits
    ]
    columns = ("page", "column", "position", "box", "sure", "before", "hit", "after")
    return make_table(*columns, rows=rows, numbers=[1, 2, 3, 4, 5])


def _page_table(found: list[PageSummary]) -> Table:
    columns = ["id", "page", "book", "status", "characters", "sure", "Dice", "character F1"]
    more = ["look at"] if any(map(_remarks, found)) else []
    rows = [
        (
            page.page_id,
            page.name,
            page.book,
            page.status,
            page.n_characters,
            page.mean_confidence,
            page.dice,
            page.character_f1,
            *(_remarks(page) for _ in more),
        )
        for page in found
    ]
    return make_table(*columns, *more, rows=rows, numbers=[0, *range(4, len(columns))])


def _remarks(page: PageSummary) -> str:
    """Say what to think of before believing a page's figures."""
    is_flattered = page.is_learnt and (page.dice is not None or page.character_f1 is not None)
    remarks = [
        page.suspicions or "",
        "learnt from this page: its scores say nothing of others" * is_flattered,
    ]
    return ", ".join(filter(None, remarks))
