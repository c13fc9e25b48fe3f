"""fumikura query: ask the database what was read."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from fumikura.cli import options
from fumikura.cli.answers import Form, answer, listed_as
from fumikura.cli.help_text import Group
from fumikura.cli.language import enumerated
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import console_for, make_table
from fumikura.cli.query_numbers import runs, stats
from fumikura.cli.query_pages import command as pages
from fumikura.core.errors import UsageError
from fumikura.core.page import Box
from fumikura.core.settings import Settings
from fumikura.core.store.character_list import (
    CHARACTER_ORDERS,
    ListedCharacter,
    list_characters,
)
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.lookup import get_page
from fumikura.core.store.search import Hit, find_characters

#: Columns of the terminal that a hit's other cells take, its context left out.
_BESIDE_CONTEXT = 66

_as_written = click.option(
    "--as-written", is_flag=True, help="Exactly so: neither ゐ for い, ナ for な, nor ゝ for what it repeats."
)


@click.group(cls=Group)
def command() -> None:
    """Ask the database: where a phrase stands, which characters, what is on the pages.

    \b
    Example:
      fumikura query text なりけり
      fumikura query characters 人 --max-confidence 0.5
      fumikura query pages --max-dice 0.8
    """


command.add_command(pages)
command.add_command(runs)
command.add_command(stats)


@command.command("text")
@click.argument("phrase")
@click.option(
    "--fuzzy", "is_fuzzy", is_flag=True, help="Also where it was read otherwise, by what it may be."
)
@_as_written
@options.settings("database")
@options.book
@options.run_id
@options.recipe
@click.option("--min-confidence", type=FiniteRange(0, 1), metavar="P", help="Leave out what is less sure.")
@options.limit()
@listed_as
def text(
    settings: Settings,
    phrase: str,
    is_fuzzy: bool,
    as_written: bool,
    book: str | None,
    run_id: int | None,
    recipe: str | None,
    min_confidence: float | None,
    limit: int,
    form: Form,
) -> None:
    """Where a phrase was read, from one character up, also across the end of a column.

    `?` stands for any character and `*` for up to 20 of them. い is found as ゐ too, な as ナ, 氣 as
    気, こころ as こゝろ; `why` says so. With --fuzzy a phrase is found along the next-best labels, also
    where a character was missed or one too many was seen: the most probable places come first. Columns
    count from the right-hand edge, positions in reading order; both from 1, as `show` draws them (with
    --json and --csv from 0).

    \b
    Example:
      fumikura query text なりけり --book 200010454
      fumikura query text 'な*り'
      fumikura query text つれづれ --fuzzy --json
    """
    engine = open_existing(settings)
    if is_fuzzy:
        if as_written or min_confidence is not None:
            raise UsageError("--fuzzy goes with neither --as-written nor --min-confidence; leave one out")
        from fumikura.core.store.forgiving import find_probable  # loads numpy

        found = find_probable(engine, phrase, book=book, run_id=run_id, recipe=recipe, limit=limit)
    else:
        found = find_characters(
            engine,
            phrase,
            book=book,
            run_id=run_id,
            recipe=recipe,
            min_confidence=min_confidence,
            as_written=as_written,
            limit=limit,
        )
    answer(found, _hit_table, limit=limit, form=form)


@command.command("characters")
@click.argument("labels", required=False)
@_as_written
@options.settings("database")
@options.book
@click.option("--page", metavar="PAGE", help="Only of this page: its name, id, or beginning of its SHA-256.")
@click.option("--region", metavar="X,Y,W,H", help="Only in this part of the page, in its pixels.")
@options.run_id
@options.recipe
@click.option("--min-confidence", type=FiniteRange(0, 1), metavar="P", help="Leave out what is less sure.")
@click.option("--max-confidence", type=FiniteRange(0, 1), metavar="P", help="Leave out what is surer.")
@options.role
@click.option(
    "--sort", "order", type=click.Choice(CHARACTER_ORDERS), default="place", help="Or the least sure first."
)
@options.limit()
@listed_as
def characters(
    settings: Settings,
    labels: str | None,
    page: str | None,
    region: str | None,
    form: Form,
    limit: int,
    **chosen: object,
) -> None:
    """List characters, each with its box and what else it may be.

    LABELS are the characters wanted, 人心 for either of them; without, all are listed. The box is x,y and
    width×height in pixels of the page; `sure` is between 0 and 1.

    \b
    Example:
      fumikura query characters 人
      fumikura query characters 人心 --max-confidence 0.5 --sort confidence
      fumikura query characters --page 200010454_00016_1 --csv
    """
    engine = open_existing(settings)
    found = list_characters(
        engine,
        labels=labels,
        page_id=None if page is None else get_page(engine, page).page_id,
        region=None if region is None else _box(region),
        limit=limit,
        **chosen,  # type: ignore[arg-type]
    )
    answer(found, _character_table, limit=limit, form=form)


def _box(text: str) -> Box:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--region {text} is no X,Y,W,H; give four whole numbers with commas between"
        ) from error
    return Box(x, y, width, height)


def _hit_table(hits: Sequence[Hit]) -> Table:
    """Make a concordance: the hits stand below each other, with what surrounds them."""
    n_context = min(10, max(2, (console_for(sys.stdout).width - _BESIDE_CONTEXT) // 4))
    more = ["why"] if any(hit.why for hit in hits) else []
    rows = [
        (
            hit.page,
            hit.column_number + 1,
            hit.position + 1,
            f"{hit.box.x},{hit.box.y} {hit.box.width}×{hit.box.height}",
            f"{hit.confidence if hit.probability is None else hit.probability:.2f}",
            hit.before[-n_context:],
            Text(hit.label, style="bold reverse"),
            hit.after[:n_context],
            *(enumerated(*hit.why.split(", ")) for _ in more),
        )
        for hit in hits
    ]
    columns = ("page", "column", "position", "box", "sure", "before", "hit", "after")
    return make_table(*columns, *more, rows=rows, numbers=[1, 2, 3, 4, 5])


def _character_table(found: Sequence[ListedCharacter]) -> Table:
    rows = [
        (
            one.page,
            one.column_number + 1,
            one.position + 1,
            f"{one.box.x},{one.box.y} {one.box.width}×{one.box.height}",
            Text(one.label, style="bold"),
            f"{one.confidence:.2f}",
            " ".join(f"{label} {share:.2f}" for label, share in one.alternatives),
        )
        for one in found
    ]
    columns = ("page", "column", "position", "box", "label", "sure", "or else")
    return make_table(*columns, rows=rows, numbers=[1, 2, 3, 5])
