"""fumikura train classifier: make weights that name characters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fumikura.cli.extras import need_training
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import say
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
    from fumikura.core.training.classifier import Source
    from fumikura.core.vocabulary import Vocabulary

_OF_PAGES = (
    "archives",
    "truth",
    "partial_truth",
    "without_book",
    "fonts",
    "transcripts",
    "n_labels",
    "with_characters",
    "kept",
)
_OF_CHARACTERS = ("model", "crop_side", "smoothing")


@click.command()
@page_options
@run_options
@click.option(
    "--fonts",
    type=given,
    multiple=True,
    metavar="PATH",
    help="Fonts, or folders of fonts, that draw what real crops lack. A path given twice counts twice.",
)
@click.option(
    "--transcripts",
    type=given,
    metavar="FILE",
    help="Text of books, '# PAGE' before each page: which labels are common.",
)
@click.option(
    "--labels",
    "n_labels",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Commonest labels of the texts to learn.",
)
@click.option(
    "--with-characters",
    type=given,
    multiple=True,
    metavar="PATH",
    help="Learn from what others cut out too: Kuzushiji-MNIST, Kuzushiji-49 or Kuzushiji-Kanji. Repeatable.",
)
@click.option(
    "--start",
    type=given,
    metavar="FILE",
    help="Begin with these weights; labels that they do not know are learnt anew.",
)
@click.option(
    "--keep",
    "kept",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    metavar="X",
    help="Share of --start in the mean of what it was and what was learnt; 0.5 may read more of other books.",
)
@click.option(
    "--characters",
    type=given,
    metavar="PATH",
    help="Learn from what `fumikura prepare characters` wrote, or from Kuzushiji-MNIST, Kuzushiji-49 or"
    " Kuzushiji-Kanji, instead of pages.",
)
@click.option(
    "--model",
    type=click.Choice(["simple-cnn", "plain-cnn", "resnet", "vit", "glyph-net"]),
    help="Network to train on --characters. [default: that of --start, or resnet]",
)
@click.option(
    "--crop-side",
    type=click.IntRange(min=8),
    metavar="N",
    help="Resize images to N × N pixels. [default: as they are; 64 for glyph-net]",
)
@click.option(
    "--smoothing",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Label smoothing.",
)
@lesson_options
@click.pass_context
def classifier(
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
    fonts: tuple[Path, ...],
    transcripts: Path | None,
    n_labels: int,
    with_characters: tuple[Path, ...],
    start: Path | None,
    kept: float,
    learning_rate: float | None,
    characters: Path | None,
    model: str | None,
    crop_side: int | None,
    smoothing: float,
    lessons: dict[str, Any],
) -> None:
    """Train a network that names characters.

    From --fonts and --transcripts, and crops of pages with boxes, it learns what reads pages. From
    --characters it learns to name images of single characters, with any of the networks.

    \b
    Example:
      fumikura train classifier pages/ --truth coordinate.csv \\
          --fonts fonts/ --transcripts transcripts.txt --out runs/classifier
      fumikura train classifier --characters kmnist.npz --model simple-cnn \\
          --epochs 10 --augmentation rotation --out runs/simple
    """
    need_training("fontTools", "scipy")
    check_options(ctx, "characters", of_pages=_OF_PAGES, of_prepared=_OF_CHARACTERS)
    from fumikura.core.recognition.models.device import try_device
    from fumikura.core.training.loop import find_precision

    try_device(device)
    found = find_precision(precision, device)
    if characters is not None:
        from fumikura.core.training.characters import train_characters

        made = make_lessons(
            lessons, learning_rate, steps=steps, seed=seed, precision=found, smoothing=smoothing
        )
        train = partial(train_characters, characters, model=model, lessons=made, crop_side=crop_side)
    else:
        from fumikura.core.training.classifier import ClassifierTraining, train_classifier

        if kept and start is None:
            raise UsageError("--keep keeps a share of --start; give that too")
        sources, vocabulary = _load_sources(
            archives,
            truth,
            partial_truth,
            without_book,
            fonts=fonts,
            transcripts=transcripts,
            n_labels=n_labels,
            with_characters=with_characters,
        )
        if start is not None:
            _say_lost(start, vocabulary)
        training = ClassifierTraining(
            steps=steps, learning_rate=learning_rate or 0.002, seed=seed, precision=found, kept=kept
        )
        train = partial(train_classifier, sources, vocabulary, training=training)
    run_training(partial(train, folder=out, start=start), device)


def _say_lost(start: Path, vocabulary: Vocabulary) -> None:
    """Say how many labels of --start are not learnt any more."""
    from fumikura.core.recognition.models.checkpoint import load_any_classifier

    lost = [label for label in load_any_classifier(start).labels if label not in vocabulary]
    if lost:
        say(
            f"{len(lost):,} labels of {start} are lost, which have no crop and no glyph here;"
            " give the fonts and texts that it learnt from"
        )


def _load_sources(
    archives: Sequence[str],
    truth: Sequence[Path],
    partial_truth: Sequence[Path],
    without_book: Sequence[str],
    *,
    fonts: Sequence[Path],
    transcripts: Path | None,
    n_labels: int,
    with_characters: Sequence[Path],
) -> tuple[list[Source], Vocabulary]:
    """What there is to learn from, and its labels."""
    from fumikura.core.training.classifier import classifier_data
    from fumikura.core.training.context_counts import read_page_texts
    from fumikura.core.training.datasets.loading import load_character_set
    from fumikura.core.training.datasets.training_pages import load_training_pages
    from fumikura.core.training.drawing.glyphs import load_fonts

    if not fonts or transcripts is None:
        raise UsageError("labels come from --transcripts, glyphs from --fonts; give both, or --characters")
    without = LeftOut(without_book)
    pages = []
    if archives:
        check_truth(truth, partial_truth)
        pages = load_training_pages(archives, truth, partial_truth, without_books=without)
    texts = list(read_page_texts([transcripts], without_books=without).values())
    without.say_unknown()
    cut_out = [load_character_set(path, "train") for path in with_characters]
    sources, vocabulary = classifier_data(pages, texts, load_fonts(fonts), n_labels=n_labels, cut_out=cut_out)
    crops = ", ".join(f"{len(source.bank)} {name}" for name, source in sources.items())
    say(f"{len(vocabulary)} labels; {crops}")
    return list(sources.values()), vocabulary
