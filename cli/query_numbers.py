"""fumikura query runs and stats: what was read, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from fumikura.cli import options
from fumikura.cli.answers import Form, answer, listed_as
from fumikura.cli.output import make_table
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.queries import RunSummary, list_runs
from fumikura.core.store.statistics import LONGEST_GROUP, BookFigures, Frequency, book_figures, frequencies


@click.command("runs")
@options.settings("database")
@options.limit()
@listed_as
def runs(settings: Settings, limit: int, form: Form) -> None:
    """List runs with the number of their pages, the newest first.

    \b
    Example:
      fumikura query runs --csv
    """
    answer(list_runs(open_existing(settings), limit=limit), _run_table, limit=limit, form=form)


@click.command("stats")
@click.option(
    "--n",
    type=click.IntRange(1, LONGEST_GROUP),
    default=1,
    help="Count groups of so many characters that follow each other.",
)
@click.option("--books", "of_books", is_flag=True, help="Tell how sure each book was read, the worst first.")
@options.settings("database")
@options.book
@options.run_id
@options.recipe
@options.limit()
@listed_as
def stats(
    settings: Settings,
    n: int,
    of_books: bool,
    book: str | None,
    run_id: int | None,
    recipe: str | None,
    limit: int,
    form: Form,
) -> None:
    """Count characters, or groups of them, or tell how sure each book was read.

    \b
    Example:
      fumikura query stats --n 2 --book 200010454
      fumikura query stats --books
    """
    engine = open_existing(settings)
    if of_books:
        figures = book_figures(engine, run_id=run_id, recipe=recipe, limit=limit)
        answer(figures, _book_table, limit=limit, form=form)
    else:
        counted = frequencies(engine, n=n, book=book, run_id=run_id, recipe=recipe, limit=limit)
        answer(counted, _frequency_table, limit=limit, form=form)


def _run_table(found: Sequence[RunSummary]) -> Table:
    rows = [
        (
            run.run,
            f"{run.created_at:%Y-%m-%d %H:%M}",
            run.pages,
            run.done,
            run.failed,
            run.characters,
            run.command,
        )
        for run in found
    ]
    columns = ("run", "when", "pages", "done", "failed", "characters", "command")
    return make_table(*columns, rows=rows, numbers=[0, 2, 3, 4, 5])


def _frequency_table(found: Sequence[Frequency]) -> Table:
    rows = [(one.text, one.count, one.mean_confidence) for one in found]
    return make_table("text", "count", "sure", rows=rows, numbers=[1, 2])


def _book_table(found: Sequence[BookFigures]) -> Table:
    rows = [(one.book, one.pages, one.characters, one.mean_confidence) for one in found]
    return make_table("book", "pages", "characters", "sure", rows=rows, numbers=[1, 2, 3])
