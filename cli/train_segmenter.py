"""fumikura train segmenter: make weights that find characters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fumikura.cli.extras import need_training
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import counted, say
from fumikura.cli.training_options import (
    LeftOut,
    check_options,
    check_truth,
    given,
    lesson_options,
    make_lessons,
    page_options,
    run_options,
    run_training,
)
from fumikura.core.errors import UsageError

if TYPE_CHECKING:
    from fumikura.core.training.datasets.training_pages import TrainingPage

_OF_PAGES = (
    "archives",
    "truth",
    "partial_truth",
    "without_book",
    "drawn_pages",
    "fonts",
    "transcripts",
    "mild",
)
_OF_PATCHES = ("model", "pos_weight")


@click.command()
@page_options
@run_options
@click.option(
    "--drawn-pages",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Also learn from N pages that are drawn from --fonts and --transcripts.",
)
@click.option("--fonts", type=given, multiple=True, metavar="PATH", help="Fonts, or folders of fonts.")
@click.option("--transcripts", type=given, metavar="FILE", help="Text of books, '# PAGE' before each page.")
@click.option(
    "--mild",
    is_flag=True,
    help="Change pages little: for the last of several trainings, to learn exact sizes.",
)
@click.option(
    "--start", type=given, metavar="FILE", help="Begin with these weights; good where pages are few."
)
@click.option(
    "--patches", type=given, metavar="FOLDER", help="Learn from what `fumikura prepare` wrote, instead."
)
@click.option(
    "--model",
    type=click.Choice(["encoder-decoder", "unet", "shipped"]),
    default="unet",
    show_default=True,
    help="Network to train on --patches: one of the first report's, or the one that ships.",
)
@click.option(
    "--pos-weight",
    type=FiniteRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How much a pixel of a character counts against one of paper.",
)
@lesson_options
@click.pass_context
def segmenter(
    ctx: click.Context,
    archives: tuple[str, ...],
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    without_book: tuple[str, ...],
    out: Path,
    steps: int,
    device: str,
    precision: Literal["auto", "bf16", "fp32"],
    seed: int,
    drawn_pages: int,
    fonts: tuple[Path, ...],
    transcripts: Path | None,
    mild: bool,
    start: Path | None,
    learning_rate: float | None,
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
      fumikura train segmenter --patches patches/ --pos-weight 20 --out runs/unet
    """
    need_training("fontTools", "scipy")
    check_options(ctx, "patches", of_pages=_OF_PAGES, of_prepared=_OF_PATCHES)
    from fumikura.core.recognition.models.device import try_device
    from fumikura.core.training.loop import find_precision

    try_device(device)
    found = find_precision(precision, device)
    if patches is not None:
        from fumikura.core.training.patch_sets import train_patches

        made = make_lessons(
            lessons, learning_rate, steps=steps, seed=seed, precision=found, pos_weight=pos_weight
        )
        train = partial(train_patches, patches, model=model, lessons=made)
    else:
        from fumikura.core.training.datasets.training_pages import MILD, VARIED
        from fumikura.core.training.segmenter import SHIPPED, SegmenterTraining, train_segmenter

        pages = _load_pages(
            archives,
            truth,
            partial_truth,
            without_book,
            n_drawn=drawn_pages,
            drawn=out / "drawn",
            fonts=fonts,
            transcripts=transcripts,
            seed=seed,
        )
        training = SegmenterTraining(
            steps=steps,
            learning_rate=learning_rate or 0.003,
            seed=seed,
            precision=found,
            variety=MILD if mild else VARIED,
        )
        train = partial(train_segmenter, pages, model_config=SHIPPED, training=training)
    run_training(partial(train, folder=out, start=start), device)


def _load_pages(
    archives: Sequence[str],
    truth: Sequence[Path],
    partial_truth: Sequence[Path],
    without_book: Sequence[str],
    *,
    n_drawn: int,
    drawn: Path,
    fonts: Sequence[Path],
    transcripts: Path | None,
    seed: int,
) -> list[TrainingPage]:
    """Scans with boxes, and pages that are drawn into a folder unless they are there."""
    from fumikura.core.training.context_counts import read_page_texts
    from fumikura.core.training.datasets.training_pages import draw_training_pages, load_training_pages
    from fumikura.core.training.drawing.glyphs import load_fonts

    if not archives and not n_drawn:
        raise UsageError(
            "there is nothing to learn from; name an archive of pages, or give --drawn-pages or --patches"
        )
    without = LeftOut(without_book)
    pages = []
    if archives:
        check_truth(truth, partial_truth)
        pages = load_training_pages(archives, truth, partial_truth, without_books=without)
    if n_drawn:
        if not fonts or transcripts is None:
            raise UsageError("--drawn-pages needs --fonts and --transcripts, to draw the pages from")
        texts = list(read_page_texts([transcripts], without_books=without).values())
        pages += draw_training_pages(n_drawn, drawn, texts, load_fonts(fonts), seed=seed)
    without.say_unknown()
    say(f"{counted(len(pages), 'page')} of {counted(len({page.book for page in pages}), 'book')}")
    return pages
