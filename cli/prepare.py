"""fumikura prepare: make data sets for training from pages with truth, and from fonts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from fumikura.cli.help_text import Group
from fumikura.cli.optional_packages import need_training
from fumikura.cli.options import Existing, FiniteRange, Function
from fumikura.cli.output import say_unknown
from fumikura.cli.prepare_options import Plan, planned, report
from fumikura.core.errors import UsageError

_given = Existing()


@click.group(cls=Group)
def command() -> None:
    """Make data sets for training and for comparing networks.

    Training and test images come from different books: one hand and one block carver is one
    style. A data set is written whole or not at all, and its manifest.json says what is in it.
    """


def _number(
    name: str, default: int | None, does: str, variable: str | None = None
) -> Callable[[Function], Function]:
    at_least_one = click.IntRange(min=1)
    names = (name, variable) if variable else (name,)
    return click.option(*names, type=at_least_one, default=default, metavar="N", help=does)


def _share(name: str, default: float, does: str) -> Callable[[Function], Function]:
    share = FiniteRange(0, 1)
    return click.option(name, type=share, default=default, metavar="X", help=does)


def _paths(name: str, does: str, *, required: bool = False) -> Callable[[Function], Function]:
    return click.option(name, type=_given, multiple=True, required=required, metavar="PATH", help=does)


_archives = click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
_ALL_TRUTH = "Boxes or masks: CODH or Kaggle CSV, ALTO or PAGE XML, COCO JSON, mask images. Repeatable."


@command.command()
@_archives
@_paths("--truth", _ALL_TRUTH, required=True)
@_number("--size", 256, "Side of the square that each page is squeezed into.")
@planned
def pages(archives: tuple[str, ...], truth: tuple[Path, ...], size: int, plan: Plan) -> None:
    """Make a set of whole pages and their masks, resized to a square.

    \b
    Example:
      fumikura prepare pages scans/ --truth coordinate.csv \\
          --test-book 200010454 --out sets/pages
    """
    from fumikura.core.training.preparing.page_masks import PageCutting, prepare_patches

    _prepare(archives, truth, (), plan, partial(prepare_patches, cutting=PageCutting(size)))


@command.command()
@_archives
@_paths("--truth", _ALL_TRUTH, required=True)
@_number("--long-side", 1024, "Pixels that each page's long side is resized to before.")
@_number("--side", 128, "Side of a patch.")
@_number("--stride", 64, "Pixels from one patch to the next.")
@_share("--min-mask", 0.01, "Drop training patches of which less is character.")
@_share("--min-test-mask", 0.0, "Drop test patches of which less is character.")
@planned
def patches(
    archives: tuple[str, ...],
    truth: tuple[Path, ...],
    long_side: int,
    side: int,
    stride: int,
    min_mask: float,
    min_test_mask: float,
    plan: Plan,
) -> None:
    """Make a set of overlapping patches of pages, and of their masks.

    \b
    Example:
      fumikura prepare patches scans/ --truth coordinate.csv \\
          --test-book 200010454 --out sets/patches
    """
    from fumikura.core.training.preparing.page_masks import PatchCutting, prepare_patches

    cutting = PatchCutting(long_side, side, stride, min_mask, min_test_mask)
    _prepare(archives, truth, (), plan, partial(prepare_patches, cutting=cutting))


def _prepare(
    archives: Sequence[str],
    truth: Sequence[Path],
    partial_truth: Sequence[Path],
    plan: Plan,
    prepare: Callable[..., dict[str, Any]],
) -> None:
    """Find the pages that something is known of, and make a data set of them."""
    from fumikura.core.scoring.comparison import find_known_pages
    from fumikura.core.scoring.truth import truth_files
    from fumikura.core.settings import read_settings

    known, unknown = find_known_pages(
        archives, truth=truth, partial_truth=partial_truth, limits=read_settings().limits
    )
    say_unknown(unknown)
    books = (page.reference.book for page in known)
    report(prepare(known, plan.of(books, truth_files([*truth, *partial_truth]))), plan)


@command.command()
@_archives
@_paths("--truth", "Boxes: CODH or Kaggle CSV, ALTO or PAGE XML, COCO JSON. Repeatable.")
@_paths("--partial-truth", "The same where some characters lack a box. Repeatable.")
@_number("--min-images", 20, "Boxes of a label in the training books that make it a class.")
@_number("--top", None, "At most so many classes, the commonest.")
@_number("--size", 64, "Side of the images.")
@click.option("--grey", is_flag=True, help="The red channel alone, as crops are cut for reading.")
@planned
def characters(
    archives: tuple[str, ...],
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    min_images: int,
    top: int | None,
    size: int,
    grey: bool,
    plan: Plan,
) -> None:
    """Make a folder of images for each character, cut from pages.

    \b
    Example:
      fumikura prepare characters scans/ --truth coordinate.csv \\
          --min-images 100 --test-book 200010454 --out sets/characters
    """
    if not truth and not partial_truth:
        raise UsageError("there are no boxes to cut out; give --truth or --partial-truth")

    from fumikura.core.training.preparing.character_crops import CropChoice, prepare_crops

    choice = CropChoice(min_images, top, size, grey)
    _prepare(archives, truth, partial_truth, plan, partial(prepare_crops, choice=choice))


@command.command()
@_paths("--fonts", "Fonts, or folders of fonts. Repeatable.", required=True)
@click.option(
    "--transcripts",
    type=_given,
    required=True,
    metavar="FILE",
    help="Texts: their commonest labels are drawn.",
)
@_number("--labels", 50, "Classes.", "n_labels")
@_number("--images-a-class", 100, "Training images of each; a fifth as many for testing.")
@_number("--size", 64, "Side of the images.")
@planned
def glyphs(
    fonts: tuple[Path, ...],
    transcripts: Path,
    n_labels: int,
    images_a_class: int,
    size: int,
    plan: Plan,
) -> None:
    """Make a folder of images for each character, drawn from fonts and distorted.

    A font counts as a book: it is for training or for testing. Needs `pip install
    'fumikura[training]'`.

    \b
    Example:
      fumikura prepare glyphs --fonts fonts/ --transcripts transcripts.txt \\
          --labels 200 --test-book KouzanBrushFontSousyo --out sets/drawn
    """
    need_training("fontTools", "scipy")

    from fumikura.core.training.context_counts import read_page_texts
    from fumikura.core.training.drawing.fonts import load_fonts
    from fumikura.core.training.preparing.glyph_images import GlyphChoice, prepare_glyphs

    found, texts = load_fonts(fonts), list(read_page_texts([transcripts]).values())
    new = plan.of((font.name for font in found), [*(font.path for font in found), transcripts])
    choice = GlyphChoice(n_labels, images_a_class, size, plan.seed)
    report(prepare_glyphs(found, texts, new, choice=choice), plan)
