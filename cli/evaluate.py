"""fumikura evaluate: measure how well pages are read, and how good weights are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import evaluate_layout, evaluate_weights, evaluation_tables, options
from fumikura.cli.help_text import Group
from fumikura.cli.language import translated
from fumikura.cli.output import console_for, counted, say, say_unknown
from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings

if TYPE_CHECKING:
    from fumikura.core.scoring.comparison import ComparedPage, KnownPage


@click.group(cls=Group)
def command() -> None:
    """Measure how well pages are read, and how good weights are.

    \b
    Example:
      fumikura evaluate pages scans/ --truth coordinate.csv
      fumikura evaluate classifier classifier.safetensors kmnist.npz
    """


command.add_command(evaluate_layout.layout)
command.add_command(evaluate_weights.segmenter)
command.add_command(evaluate_weights.classifier)


@command.command()
@options.archives
@click.option(
    "--text",
    "texts",
    type=options.Existing(is_folder=True),
    multiple=True,
    metavar="FOLDER",
    help="Texts of pages, PAGE.txt each, in reading order. Repeatable; the first that has a page counts.",
)
@click.option(
    "--min-text",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Leave out texts of fewer characters.",
)
@click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Draw the worst pages into it, with an index.html to look at.",
)
@options.limit(12, "At most so many pages in the table and in the gallery, the worst first.")
@options.settings("recipe", "device", "reach")
@options.as_json
@click.pass_context
def pages(
    ctx: click.Context,
    settings: Settings,
    archives: tuple[str, ...],
    book: str | None,
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    texts: tuple[Path, ...],
    min_text: int,
    gallery: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    """Read pages and compare them with what people say of them.

    Pages of which nothing is known are left out, and of the figures of books and of all those
    that the weights have learnt from. Nothing is kept: no database, no queue.
    What the figures mean stands in docs/evaluation.md.

    \b
    Example:
      fumikura evaluate pages scans/ --truth coordinate.csv --gallery worst/
      fumikura evaluate pages scans/ --text texts/ --min-text 50 --json

    Exit code: 0 all done, 3 some pages could not be read.
    """
    if not truth and not partial_truth and not texts:
        raise UsageError("there is nothing to compare with; give --truth, --partial-truth or --text")

    from fumikura.core.scoring.comparison import find_known_pages

    known, unknown = find_known_pages(
        archives, book=book, truth=truth, partial_truth=partial_truth, texts=texts, limits=settings.limits
    )
    say_unknown(unknown)
    if gallery is not None:
        from fumikura.core.scoring.gallery import check_gallery

        check_gallery(gallery)  # now, since after an hour's reading it is too late
    compared, worst = _compare(known, settings, min_text=min_text, n_worst=limit)
    if as_json:
        evaluation_tables.print_figures(compared)
    elif worst:
        evaluation_tables.print_measures(compared, worst)
    if gallery is not None:
        from fumikura.core.scoring.gallery import write_gallery

        index = write_gallery(gallery, worst, max_pixels=settings.max_pixels, limits=settings.limits)
        say(f"gallery: {index}")
    _say_doubts(compared)
    ctx.exit(3 if any(page.error is not None for page in compared) else 0)


def _say_doubts(compared: Sequence[ComparedPage]) -> None:
    """Name the pages whose truth seems partial, and count or name those that were left out."""
    if n_learnt := sum(page.is_learnt for page in compared):
        say(
            f"{counted(n_learnt, 'page')} left out of the figures of books and of all: learnt from this page,"
            " they say nothing of others"
        )
    for page in filter(_seems_partial, compared):
        say(
            f"{page.known.reference.name} has twice as many characters as boxes, or more;"
            " if some were given no box, name the file with --partial-truth"
        )
    for page in compared:
        if page.error is not None:
            say(f"{page.known.reference.name} was left out: {page.error}")


def _seems_partial(page: ComparedPage) -> bool:
    if page.measures is None:
        return False
    scores = page.measures.scores
    return 0 < 2 * (scores.n_truth or 0) < (scores.n_found or 0)


def _compare(
    pages: Sequence[KnownPage], settings: Settings, *, min_text: int, n_worst: int
) -> tuple[list[ComparedPage], list[ComparedPage]]:
    """Compare all pages; only the worst keep their characters, which would else fill the memory."""
    from rich.progress import track

    from fumikura.core.recognition.reader import load_reader
    from fumikura.core.scoring.comparison import compare_pages, worst_first

    reader = load_reader(settings, options.first_device(settings))
    reading = compare_pages(reader, pages, settings, min_text=min_text)
    compared: list[ComparedPage] = []
    worst: list[ComparedPage] = []
    console = console_for(sys.stderr)
    for page in track(
        reading, description=translated("reading"), total=len(pages), console=console, transient=True
    ):
        page = replace(page, is_learnt=page.known.reference.digest in reader.recipe.learnt_pages)
        compared.append(replace(page, characters=()))
        worst = worst_first([*worst, page])[:n_worst]
    return compared, worst
