"""fumikura prepare: make data sets for training from pages with truth, and from fonts."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli import options
from cli.output import console_for, make_table, print_json, print_tables, say
from core.errors import UsageError

if TYPE_CHECKING:
    from core.training.prepare_patches import PageCutting, PatchCutting

Function = Callable[..., Any]
Item = TypeVar("Item")

_given = click.Path(path_type=Path, exists=True)
#: A manifest's counts, and how they are called in the table.
_COLUMNS = {
    "n_books": "books",
    "n_pages": "pages",
    "n_patches": "patches",
    "n_dropped": "dropped",
    "n_classes": "classes",
    "n_images": "images",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What all data sets are asked for: where they go, which books are for testing."""

    out: Path
    test_books: tuple[str, ...]
    test_share: float
    seed: int
    as_json: bool

    def choose(self, books: Iterable[str]) -> frozenset[str]:
        from core.training.preparing import choose_test_books

        return choose_test_books(books, self.test_books, share=self.test_share, seed=self.seed)


@click.group()
def command() -> None:
    """Make data sets for training and for comparing networks.

    Training and test images come from different books: one hand and one block carver is one
    style. A data set is written whole or not at all, and its manifest.json says what is in it.
    """


def _planned(function: Function) -> Function:
    """Add the options that become the command's `plan`."""

    @functools.wraps(function)
    def call(**given: Any) -> Any:
        plan = Plan(**{name: given.pop(name) for name in Plan.__slots__})
        return function(plan=plan, **given)

    for option in (
        options.as_json,
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            metavar="FOLDER",
            help="Where the data set goes: a folder that is new or empty.",
        ),
        click.option("--seed", default=1, show_default=True, help="Same seed, same data set."),
        click.option(
            "--test-share",
            type=click.FloatRange(0, 1),
            default=0.2,
            show_default=True,
            metavar="X",
            help="Share of the books to test on, where none is named.",
        ),
        click.option(
            "--test-book", "test_books", multiple=True, metavar="NAME", help="A book to test on. Repeatable."
        ),
    ):
        call = option(call)
    return call


def _number(
    name: str, default: int | None, does: str, variable: str | None = None
) -> Callable[[Function], Function]:
    at_least_one = click.IntRange(min=1)
    names = (name, variable) if variable else (name,)
    return click.option(*names, type=at_least_one, default=default, show_default=True, metavar="N", help=does)


def _share(name: str, default: float, does: str) -> Callable[[Function], Function]:
    share = click.FloatRange(0, 1)
    return click.option(name, type=share, default=default, show_default=True, metavar="X", help=does)


def _paths(name: str, does: str, *, required: bool = False) -> Callable[[Function], Function]:
    return click.option(name, type=_given, multiple=True, required=required, metavar="PATH", help=does)


_archives = click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
_ALL_TRUTH = "Boxes or masks: CODH coordinate CSV, Kaggle train.csv, mask images. Repeatable."


@command.command()
@_archives
@_paths("--truth", _ALL_TRUTH, required=True)
@_number("--size", 256, "Side of the square that each page is squeezed into.")
@_planned
def pages(archives: tuple[str, ...], truth: tuple[Path, ...], size: int, plan: Plan) -> None:
    """Make a set of whole pages and their masks, resized to a square.

    \b
    Example:
      fumikura prepare pages scans/ --truth coordinate.csv \\
          --test-book 200010454 --out sets/pages
    """
    from core.training.prepare_patches import PageCutting

    _cut_pages(archives, truth, PageCutting(size), plan)


@command.command()
@_archives
@_paths("--truth", _ALL_TRUTH, required=True)
@_number("--long-side", 1024, "Pixels that each page's long side is resized to before.")
@_number("--side", 128, "Side of a patch.")
@_number("--stride", 64, "Pixels from one patch to the next.")
@_share("--min-mask", 0.01, "Drop training patches of which less is character.")
@_share("--min-test-mask", 0.0, "Drop test patches of which less is character.")
@_planned
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
    from core.training.prepare_patches import PatchCutting

    cutting = PatchCutting(long_side, side, stride, min_mask, min_test_mask)
    _cut_pages(archives, truth, cutting, plan)


def _cut_pages(
    archives: Sequence[str], truth: Sequence[Path], cutting: PageCutting | PatchCutting, plan: Plan
) -> None:
    from core.comparison import find_known_pages
    from core.training.prepare_patches import prepare_patches
    from core.training.preparing import digests
    from core.truth import truth_files

    known = find_known_pages(archives, truth=truth)
    manifest = prepare_patches(
        known,
        plan.out,
        cutting,
        test_books=plan.choose(page.reference.book for page in known),
        sources=digests(truth_files(truth)),
        track=_track,
    )
    _report(manifest, plan)


@command.command()
@_archives
@_paths("--truth", "Boxes: CODH coordinate CSV, Kaggle train.csv. Repeatable.")
@_paths("--partial-truth", "The same where some characters lack a box. Repeatable.")
@_number("--min-images", 20, "Boxes of a label in the training books that make it a class.")
@_number("--top", None, "At most so many classes, the commonest.")
@_number("--size", 64, "Side of the images.")
@click.option("--grey", is_flag=True, help="The red channel alone, as crops are cut for reading.")
@_planned
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

    from core.comparison import find_known_pages
    from core.training.prepare_characters import CropChoice, prepare_crops
    from core.training.preparing import digests
    from core.truth import truth_files

    known = find_known_pages(archives, truth=truth, partial_truth=partial_truth)
    manifest = prepare_crops(
        known,
        plan.out,
        CropChoice(min_images, top, size, grey),
        test_books=plan.choose(page.reference.book for page in known),
        sources=digests(truth_files([*truth, *partial_truth])),
        track=_track,
    )
    _report(manifest, plan)


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
@_planned
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
    if importlib.util.find_spec("fontTools") is None:
        raise UsageError("drawing glyphs needs fontTools; pip install 'fumikura[training]'")

    from core.training.glyphs import load_fonts
    from core.training.pages import read_transcripts
    from core.training.prepare_glyphs import GlyphChoice, prepare_glyphs
    from core.training.preparing import digests

    found = load_fonts(fonts)
    manifest = prepare_glyphs(
        found,
        read_transcripts(transcripts),
        plan.out,
        GlyphChoice(n_labels, images_a_class, size, plan.seed),
        test_fonts=plan.choose(font.name for font in found),
        sources=digests([*(font.path for font in found), transcripts]),
        track=_track,
    )
    _report(manifest, plan)


def _track(items: Sequence[Item]) -> Iterable[Item]:
    from rich.progress import track

    return track(items, description="preparing", console=console_for(sys.stderr), transient=True)


def _report(manifest: dict[str, Any], plan: Plan) -> None:
    splits = {
        split: {name: manifest[split][name] for name in _COLUMNS if name in manifest[split]}
        for split in ("train", "test")
    }
    if plan.as_json:
        print_json({"out": str(plan.out), "kind": manifest["kind"], **splits})
        return
    names = splits["train"]
    rows = [(split, *counts.values()) for split, counts in splits.items()]
    columns = ("split", *(_COLUMNS[name] for name in names))
    print_tables(make_table(*columns, rows=rows, numbers=range(1, len(columns))))
    say(f"written to {plan.out}")
