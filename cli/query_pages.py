"""fumikura query pages: list pages with what was found on them."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from fumikura.cli import options
from fumikura.cli.answers import Form, answer, listed_as
from fumikura.cli.language import enumerated, translated
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import make_table
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.page_list import ORDERS, Order, PageSummary, find_pages
from fumikura.core.store.tables import Status


@click.command("pages")
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
@listed_as
def command(
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
    form: Form,
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
    answer(found, _page_table, limit=limit, form=form)


def _page_table(found: Sequence[PageSummary]) -> Table:
    columns = ["id", "page", "book", "status", "characters", "sure", "Dice", "character F1"]
    more = ["look at"] if any(map(_remarks, found)) else []
    rows = [
        (
            page.page_id,
            page.name,
            page.book,
            page.status and translated(page.status),
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
    reasons = (page.suspicions or "").split(", ")
    if page.is_learnt and (page.dice is not None or page.character_f1 is not None):
        reasons.append("learnt from this page: its scores say nothing of others")
    return enumerated(*reasons)
