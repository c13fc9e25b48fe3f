"""fumikura adapt: learn from the book that is read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import options
from fumikura.cli.optional_packages import need_training
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import console_for, counted, make_table, print_json, print_tables, say
from fumikura.cli.training_options import shown_progress
from fumikura.core.errors import PageError
from fumikura.core.settings import Settings
from fumikura.core.store.corrections import corrected_truths
from fumikura.core.store.existing_database import open_existing

if TYPE_CHECKING:
    from fumikura.core.scoring.comparison import KnownPage
    from fumikura.core.training.adapting import Adaptation
    from fumikura.core.training.datasets.training_pages import TrainingPage

_given = options.Existing()


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Weights to write, for --classifier of `fumikura run`.",
)
@click.option(
    "--truth", type=_given, multiple=True, metavar="PATH", help="Boxes of all characters of some pages."
)
@click.option("--partial-truth", type=_given, multiple=True, metavar="PATH", help="Boxes of some characters.")
@click.option(
    "--corrections",
    "with_corrections",
    is_flag=True,
    help="Learn from what people put right in the database too.",
)
@click.option(
    "--min-confidence",
    type=FiniteRange(0.5, 1),
    default=0.8,
    help="A character that was read so surely teaches the others.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Batches of 48 characters to learn. [default: 60 to 400, by how much there is to learn]",
)
@click.option(
    "--pages",
    "n_pages",
    type=click.IntRange(min=1),
    default=100,
    metavar="N",
    help="Pages to learn from at most, spread over them all.",
)
@options.settings("database", "recipe", "device")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    archives: tuple[str, ...],
    out: Path,
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    with_corrections: bool,
    min_confidence: float,
    steps: int | None,
    n_pages: int,
    as_json: bool,
) -> None:
    """Adapt the weights that name characters to one book.

    A book is one hand. What is read surely in it, and what people know of it, teaches the weights
    to read the rest. Every fifth of these characters is kept back, and weights are written only if
    they name those better. Best with ten pages or more; it takes minutes on two cores. Where the text
    of pages is known, `fumikura align` makes boxes of it for --partial-truth; what was put right in the
    reading room or by `fumikura correct`, --corrections takes from the database.

    \b
    Example:
      fumikura adapt genji/ -o genji.safetensors
      fumikura run genji/ --classifier genji.safetensors
      fumikura adapt genji/ --corrections -o genji.safetensors

    Exit code: 0 written, 3 nothing written, since the book would not have been read better.
    """
    need_training("scipy")
    from fumikura.core.recognition.recipe import find_weights
    from fumikura.core.training.adapting import adapt, check_adapted, choose_pages

    check_adapted(out)
    device = options.first_device(settings)
    corrections = corrected_truths(open_existing(settings)) if with_corrections else None
    chosen = choose_pages(
        archives,
        truth,
        partial_truth,
        n_pages=n_pages,
        limits=settings.limits,
        corrections=corrections,
    )
    pages = _read(chosen, settings, device, min_confidence=min_confidence)
    start = find_weights("classifier", settings.classifier_path)
    with shown_progress() as progress:
        adaptation = adapt(pages, start, out, device=device, progress=progress, steps=steps)
    if as_json:
        print_json({**asdict(adaptation), "out": str(out) if adaptation.helps else None})
    else:
        _print(adaptation)
    if adaptation.helps:
        say(f"{out} is written; read the book with --classifier {out}")
    else:
        say("nothing is written: the book would not be read better; give more of its pages")
    ctx.exit(0 if adaptation.helps else 3)


def _read(
    chosen: Sequence[KnownPage], settings: Settings, device: str, *, min_confidence: float
) -> list[TrainingPage]:
    """Read the pages to learn from, and say which of them cannot be read."""
    from rich.progress import track

    from fumikura.core.recognition.reader import load_reader
    from fumikura.core.training.adapting import learn_page

    reader, pages = load_reader(settings, device), []
    for page in track(chosen, description="reading", console=console_for(sys.stderr), transient=True):
        try:
            pages.append(learn_page(reader, page, settings, min_confidence=min_confidence))
        except PageError as error:
            say(f"{page.reference.name} was left out: {error}")
    return pages


def _print(adaptation: Adaptation) -> None:
    rows = [
        (when, adaptation.n_kept_back, one.right, one.loss)
        for when, one in (("before", adaptation.before), ("after", adaptation.after))
    ]
    title = f"learnt from {adaptation.n_taught:,} characters of {counted(adaptation.n_pages, 'page')}"
    print_tables(make_table(title, "kept back", "right", "loss", rows=rows, numbers=range(1, 4)))
