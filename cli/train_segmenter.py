"""fumikura train segmenter: make weights that find characters."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fumikura.cli.options import FiniteRange
from fumikura.cli.output import counted, say
from fumikura.cli.training_options import (
    GivenPages,
    Run,
    check_all,
    given,
    lesson_options,
    make_lessons,
    page_options,
    run_options,
    run_training,
    start_option,
    text_options,
)
from fumikura.core.errors import UsageError

if TYPE_CHECKING:
    from fumikura.core.training.datasets.training_pages import TrainingPage
    from fumikura.core.training.lessons import Material


@click.command()
@page_options
@run_options
@click.option(
    "--drawn-pages",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also learn from N pages that are drawn from --fonts and --transcripts.",
)
@text_options("Fonts, or folders of fonts.", "Text of books, '# PAGE' before each page.")
@click.option(
    "--mild",
    is_flag=True,
    help="Change pages little: for the last of several trainings, to learn exact sizes.",
)
@click.option(
    "--layout",
    "layouts",
    type=given,
    multiple=True,
    metavar="PATH",
    help="Also learn from photographs among the archives where no writing is: VOC XML of lines and"
    " material, PAGE.xml each. Repeatable.",
)
@start_option("good where pages are few.")
@click.option(
    "--patches", type=given, metavar="FOLDER", help="Learn from what `fumikura prepare` wrote, instead."
)
@click.option(
    "--model",
    type=click.Choice(["encoder-decoder", "unet", "shipped"]),
    default="unet",
    help="Network to train on --patches: one of the first report's, or the one that ships.",
)
@click.option(
    "--pos-weight",
    type=FiniteRange(min=0, min_open=True),
    default=1.0,
    help="How much a pixel of a character counts against one of paper.",
)
@lesson_options
@click.pass_context
def segmenter(
    ctx: click.Context,
    pages: GivenPages,
    run: Run,
    drawn_pages: int,
    mild: bool,
    layouts: tuple[Path, ...],
    start: Path | None,
    patches: Path | None,
    model: str,
    pos_weight: float,
    lessons: dict[str, Any],
) -> None:
    """Train a network that finds characters.

    From pages with boxes it learns mask, centres and sizes: what reads pages. From the --patches that
    `fumikura prepare` wrote it learns masks alone, with any of the networks.

    \b
    Example:
      fumikura train segmenter pages/ --truth coordinate.csv --out runs/segmenter
      fumikura train segmenter pages/ spreads/ --truth coordinate.csv \\
          --layout spreads/ --out runs/segmenter
      fumikura train segmenter --patches patches/ --pos-weight 20 --out runs/unet
    """
    check_all(
        ctx, run, "patches", of_pages={"drawn_pages", "mild", "layouts"}, of_prepared={"model", "pos_weight"}
    )
    from fumikura.core.training.datasets.training_pages import MILD, VARIED
    from fumikura.core.training.segmenter import FOR_PAGES, boxed_pages, patch_images

    if patches is not None:
        made = make_lessons(lessons, run, pos_weight=pos_weight)
        material: Material = partial(patch_images, patches, model=model)
    else:
        made = run.lessons(FOR_PAGES)
        loaded = _load_pages(pages, layouts, drawn_pages, run)
        material = partial(boxed_pages, loaded, variety=MILD if mild else VARIED)
    run_training(material, run, made, start)


def _load_pages(
    given_pages: GivenPages, layouts: tuple[Path, ...], n_drawn: int, run: Run
) -> list[TrainingPage]:
    """Load scans with boxes or layouts, and pages that are drawn into the run's folder unless they are there.

    Raises:
        UsageError: something is missing to learn from.
    """
    from fumikura.core.training.datasets.training_pages import draw_training_pages
    from fumikura.core.training.drawing.fonts import load_fonts

    if not given_pages.archives and not n_drawn:
        raise UsageError(
            "there is nothing to learn from; name an archive of pages, or give --drawn-pages or --patches"
        )
    if n_drawn and (not given_pages.fonts or given_pages.transcripts is None):
        raise UsageError("--drawn-pages needs --fonts and --transcripts, to draw the pages from")
    if layouts and not given_pages.archives:
        raise UsageError("--layout tells of photographs; name an archive that holds them")
    pages, texts = given_pages.load(with_texts=n_drawn > 0, layouts=layouts)
    if n_drawn:
        fonts = load_fonts(given_pages.fonts)
        pages += draw_training_pages(n_drawn, run.out / "drawn", texts, fonts, seed=run.seed)
    say(f"{counted(len(pages), 'page')} of {counted(len({page.book for page in pages}), 'book')}")
    return pages
