"""fumikura align: labelled boxes from pages whose text is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import as_json as json_option
from core.errors import UsageError

if TYPE_CHECKING:
    from core.training.mining import MinedPage

_COLUMNS = ("text", "mined", "judged", "wrong")
_given = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.option(
    "--text",
    "folders",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    required=True,
    metavar="FOLDER",
    help="Texts of pages, PAGE.txt each, in reading order. Repeatable; the first that has a page counts.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="CSV to write.",
)
@click.option(
    "--truth", type=_given, multiple=True, metavar="PATH", help="Boxes of all characters: measures."
)
@click.option(
    "--partial-truth", type=_given, multiple=True, metavar="PATH", help="Boxes of some characters: kept."
)
@click.option("--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable.")
@click.option("--segmenter", type=_given, metavar="FILE", help="Weights that find characters, if not ours.")
@click.option("--classifier", type=_given, metavar="FILE", help="Weights that name characters, if not ours.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0.5, 1),
    default=0.9,
    show_default=True,
    help="A character is kept if it is so probable that it stands there.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
def command(
    archives: tuple[str, ...],
    folders: tuple[Path, ...],
    out: Path,
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    without_book: tuple[str, ...],
    segmenter: Path | None,
    classifier: Path | None,
    min_confidence: float,
    device: str,
    as_json: bool,
) -> None:
    """Find where the characters of known texts stand, to train on them.

    Writes CODH's coordinate CSV for `fumikura train ... --partial-truth`. Pages that are boxed
    already tell how many of the found labels are wrong.

    \b
    Example:
      fumikura align scans/ --text texts/ --out aligned.csv
    """
    from rich.progress import track

    from cli.output import console_for, make_table, print_json, print_tables
    from core.archive import list_pages
    from core.models.device import try_device
    from core.reader import load_networks
    from core.recipe import Parameters
    from core.settings import read_settings
    from core.texts import load_texts
    from core.training.mining import Miner, mine_page, write_boxes
    from core.truth import load_truth

    try_device(device)
    texts = load_texts(folders)
    excluded = set(without_book)
    pages = [page for page in list_pages(archives).pages if page.name in texts and page.book not in excluded]
    if not pages:
        raise UsageError("no page of these archives has a text; texts are named PAGE.txt, as their page is")
    truths = load_truth(partial_truth, partial=True) | load_truth(truth)
    settings = read_settings().overridden(segmenter_path=segmenter, classifier_path=classifier)
    miner = Miner(*load_networks(settings, device), Parameters())
    mined = [
        mine_page(
            miner,
            page,
            texts[page.name],
            truths.get(page.name),
            min_confidence=min_confidence,
            max_pixels=settings.max_pixels,
        )
        for page in track(pages, description="aligning", console=console_for(sys.stderr))
    ]
    write_boxes(out, mined)
    if as_json:
        for item in mined:
            print_json({"page": item.name, **_counts([item])})
    else:
        rows = [(item.name, *_counts([item]).values()) for item in mined]
        rows.append(("all", *_counts(mined).values()))
        print_tables(make_table("page", *_COLUMNS, rows=rows, numbers=range(1, 5)))


def _counts(pages: Sequence[MinedPage]) -> dict[str, int]:
    return {
        "text": sum(page.n_text for page in pages),
        "mined": sum(page.n_mined for page in pages),
        "judged": sum(page.n_judged for page in pages),
        "wrong": sum(page.n_wrong for page in pages),
    }
