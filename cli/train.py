"""fumikura train: make weights from pages with truth, and from texts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from core.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
_folder = click.Path(path_type=Path, file_okay=False)
_given = click.Path(path_type=Path, exists=True)


@click.group()
def command() -> None:
    """Train the networks on pages with truth.

    Needs `pip install 'fumikura[training]'`. A training that was cut off goes on when the same
    command is given again. The scores of a book mean something only if the book was in no part
    of its training: name such books with --without-book.
    """
    missing = [name for name in ("fontTools", "scipy") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {' and '.join(missing)}; pip install 'fumikura[training]'")


def _shared(function: Function) -> Function:
    for option in (
        click.option("--seed", default=1, show_default=True, help="Same seed, same training."),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        click.option(
            "--steps",
            type=click.IntRange(min=0),
            default=3000,
            show_default=True,
            help="Batches to learn from.",
        ),
        click.option(
            "--out",
            type=_folder,
            required=True,
            metavar="FOLDER",
            help="Where state, metrics and weights go.",
        ),
        click.option(
            "--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable."
        ),
        click.option(
            "--partial-truth", type=_given, multiple=True, metavar="PATH", help="Boxes of some characters."
        ),
        click.option("--truth", type=_given, multiple=True, metavar="PATH", help="Boxes of all characters."),
    ):
        function = option(function)
    return click.argument("archives", nargs=-1, metavar="[ARCHIVE]...")(function)


def _learning_rate(default: float) -> Callable[[Function], Function]:
    return click.option(
        "--learning-rate", default=default, show_default=True, help="The highest; lower it with --start."
    )


@command.command()
@_shared
@click.option(
    "--drawn-pages",
    default=0,
    show_default=True,
    metavar="N",
    help="Also learn from N pages that are drawn from --fonts and --transcripts.",
)
@click.option("--fonts", type=_given, multiple=True, metavar="PATH", help="Fonts, or folders of fonts.")
@click.option("--transcripts", type=_given, metavar="FILE", help="Text of books, '# PAGE' before each page.")
@click.option(
    "--start",
    type=_given,
    multiple=True,
    metavar="FILE",
    help="Begin with these weights, good for few pages; given several times, with their mean.",
)
@_learning_rate(0.003)
def segmenter(
    archives: tuple[str, ...],
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    without_book: tuple[str, ...],
    out: Path,
    steps: int,
    device: str,
    seed: int,
    drawn_pages: int,
    fonts: tuple[Path, ...],
    transcripts: Path | None,
    start: tuple[Path, ...],
    learning_rate: float,
) -> None:
    """Train the U-Net that finds characters.

    \b
    Example:
      fumikura train segmenter pages/ --truth coordinate.csv --out runs/segmenter
    """
    from core.training.glyphs import load_fonts
    from core.training.pages import draw_training_pages, load_training_pages, read_transcripts
    from core.training.segmenter import SHIPPED, SegmenterTraining, train_segmenter

    if not archives and not drawn_pages:
        raise UsageError("there is nothing to learn from; name an archive of pages, or give --drawn-pages")
    pages = []
    if archives:
        pages = load_training_pages(archives, truth, partial_truth, without_books=without_book)
    if drawn_pages:
        if not fonts or transcripts is None:
            raise UsageError("--drawn-pages needs --fonts and --transcripts, to draw the pages from")
        texts = read_transcripts(transcripts, without_books=without_book)
        pages += draw_training_pages(drawn_pages, out / "drawn", texts, load_fonts(fonts), seed=seed)
    training = SegmenterTraining(steps=steps, learning_rate=learning_rate, seed=seed)
    click.echo(f"{len(pages)} pages of {len({page.book for page in pages})} books", err=True)
    with _shown_progress() as progress:
        path = train_segmenter(
            pages,
            out,
            model_config=SHIPPED,
            training=training,
            device=device,
            progress=progress,
            start=start,
        )
    click.echo(path)


@command.command()
@_shared
@click.option(
    "--fonts",
    type=_given,
    multiple=True,
    required=True,
    metavar="PATH",
    help="Fonts, or folders of fonts, that draw what real crops lack. A path given twice counts twice.",
)
@click.option(
    "--transcripts",
    type=_given,
    required=True,
    metavar="FILE",
    help="Text of books, '# PAGE' before each page: which labels are common.",
)
@click.option(
    "--labels", "n_labels", default=2000, show_default=True, help="Commonest labels of the texts to learn."
)
@click.option("--start", type=_given, metavar="FILE", help="Begin with these weights.")
@_learning_rate(0.002)
def classifier(
    archives: tuple[str, ...],
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    without_book: tuple[str, ...],
    out: Path,
    steps: int,
    device: str,
    seed: int,
    fonts: tuple[Path, ...],
    transcripts: Path,
    n_labels: int,
    start: Path | None,
    learning_rate: float,
) -> None:
    """Train the network that names characters, on real crops and on drawn glyphs.

    Without archives it learns from drawn glyphs alone.

    \b
    Example:
      fumikura train classifier pages/ --truth coordinate.csv \\
          --fonts fonts/ --transcripts transcripts.txt --out runs/classifier
    """
    from core.training.classifier import ClassifierTraining, classifier_data, train_classifier
    from core.training.glyphs import load_fonts
    from core.training.pages import load_training_pages, read_transcripts

    pages = []
    if archives:
        pages = load_training_pages(archives, truth, partial_truth, without_books=without_book)
    texts = read_transcripts(transcripts, without_books=without_book)
    sources, vocabulary = classifier_data(pages, texts, load_fonts(fonts), n_labels=n_labels)
    training = ClassifierTraining(steps=steps, learning_rate=learning_rate, seed=seed)
    crops = ", ".join(f"{len(source.bank)} {name}" for name, source in sources.items())
    click.echo(f"{len(vocabulary)} labels; {crops}", err=True)
    with _shown_progress() as progress:
        path = train_classifier(
            list(sources.values()),
            vocabulary,
            out,
            training=training,
            device=device,
            progress=progress,
            start=start,
        )
    click.echo(path)


@command.command()
@click.argument("transcripts", nargs=-1, required=True, type=_given, metavar="TRANSCRIPTS...")
@click.option("--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where the weights go.",
)
def context(transcripts: tuple[Path, ...], without_book: tuple[str, ...], out: Path) -> None:
    """Count which characters follow each other, from texts.

    TRANSCRIPTS are texts with '# PAGE' before each page, files named PAGE.txt, or folders of both.

    \b
    Example:
      fumikura train context transcripts.txt texts/ --without-book 200010454 \\
          --out context.safetensors
    """
    from core.models.checkpoint import save_context
    from core.training.context import count_trigrams, read_page_texts

    texts = read_page_texts(transcripts, without_books=without_book)
    counted = count_trigrams(texts)
    save_context(out, counted)
    n_books = len({page.split("_")[0] for page in texts})
    found = f"{len(texts)} pages of {n_books} books; {len(counted.characters)} characters"
    click.echo(f"{found}; {len(counted.counts)} different threes", err=True)
    click.echo(out)


@contextmanager
def _shown_progress() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[losses]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", losses="")

        def show(step: int, steps: int, losses: dict[str, float]) -> None:
            described = "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
            bar.update(task, completed=step, total=steps, losses=described)

        yield show
