"""fumikura train classifier: make weights that name characters."""

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
    from fumikura.core.training.lessons import Material
    from fumikura.core.vocabulary import Vocabulary

_OF_PAGES = {"n_labels", "with_characters", "kept"}
_OF_CHARACTERS = {"model", "crop_side", "smoothing"}


@click.command()
@page_options
@run_options
@text_options(
    "Fonts, or folders of fonts, that draw what real crops lack. A path given twice counts twice.",
    "Text of books, '# PAGE' before each page: which labels are common.",
)
@click.option(
    "--labels",
    "n_labels",
    type=click.IntRange(min=1),
    default=2000,
    help="Commonest labels of the texts to learn.",
)
@click.option(
    "--with-characters",
    type=given,
    multiple=True,
    metavar="PATH",
    help="Learn from what others cut out too: Kuzushiji-MNIST, Kuzushiji-49 or Kuzushiji-Kanji. Repeatable.",
)
@start_option("labels that they do not know are learnt anew.")
@click.option(
    "--keep",
    "kept",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
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
    help="Label smoothing.",
)
@lesson_options
@click.pass_context
def classifier(
    ctx: click.Context,
    pages: GivenPages,
    run: Run,
    n_labels: int,
    with_characters: tuple[Path, ...],
    start: Path | None,
    kept: float,
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
    check_all(ctx, run, "characters", of_pages=_OF_PAGES, of_prepared=_OF_CHARACTERS)
    from fumikura.core.training.classifier import FOR_PAGES, character_images

    if characters is not None:
        made = make_lessons(lessons, run, smoothing=smoothing)
        material: Material = partial(character_images, characters, model=model, crop_side=crop_side)
    else:
        if kept and start is None:
            raise UsageError("--keep keeps a share of --start; give that too")
        made = run.lessons(FOR_PAGES, kept=kept)
        material = _mix(pages, with_characters, n_labels=n_labels, start=start)
    run_training(material, run, made, start)


def _mix(
    given_pages: GivenPages, with_characters: tuple[Path, ...], *, n_labels: int, start: Path | None
) -> Material:
    """Load all that there is to learn from, and say how much it is."""
    from fumikura.core.training.classifier import mixed_crops
    from fumikura.core.training.datasets.crop_mixture import mix_crops
    from fumikura.core.training.datasets.loading import load_character_set
    from fumikura.core.training.drawing.fonts import load_fonts

    if not given_pages.fonts or given_pages.transcripts is None:
        raise UsageError("labels come from --transcripts, glyphs from --fonts; give both, or --characters")
    pages, texts = given_pages.load(with_texts=True)
    cut_out = [load_character_set(path, "train") for path in with_characters]
    fonts = load_fonts(given_pages.fonts)
    parts, vocabulary = mix_crops(pages, texts, fonts, n_labels=n_labels, cut_out=cut_out)
    crops = ", ".join(f"{len(part.bank)} {name}" for name, part in parts.items())
    say(f"{counted(len(vocabulary), 'label')}; {crops}")
    if start is not None:
        _say_lost(start, vocabulary)
    learnt = [page.digest for page in pages if page.digest]
    return partial(mixed_crops, list(parts.values()), vocabulary.labels, learnt_pages=learnt)


def _say_lost(start: Path, vocabulary: Vocabulary) -> None:
    """Say how many labels of --start are not learnt any more."""
    from fumikura.core.recognition.models.checkpoint import load_any_classifier

    lost = [label for label in load_any_classifier(start).labels if label not in vocabulary]
    if lost:
        say(
            f"{len(lost):,} labels of {start} are lost, which have no crop and no glyph here;"
            " give the fonts and texts that it learnt from"
        )
