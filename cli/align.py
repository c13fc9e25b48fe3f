"""fumikura align: find labelled boxes on pages whose text is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli.language import translated
from fumikura.cli.left_out_books import LeftOut
from fumikura.cli.optional_packages import need_training
from fumikura.cli.options import Existing, FiniteRange
from fumikura.cli.options import as_json as json_option
from fumikura.cli.output import console_for, make_table, print_json, print_tables, say
from fumikura.core.errors import PageError, UsageError

if TYPE_CHECKING:
    from fumikura.core.scoring.comparison import KnownPage
    from fumikura.core.settings import Settings
    from fumikura.core.training.mining import MinedPage, Miner

_COLUMNS = ("text", "mined", "judged", "wrong")
_given = Existing()


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.option(
    "--text",
    "folders",
    type=Existing(is_folder=True),
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
    type=FiniteRange(0.5, 1),
    default=0.9,
    help="A character is kept if it is so probable that it stands there.",
)
@click.option("--device", default="cpu", help="cpu or cuda.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
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

    Exit code: 0 all done, 3 some pages could not be read.
    """
    need_training("scipy")
    from fumikura.core.recognition.models.device import try_device
    from fumikura.core.recognition.reader import load_networks
    from fumikura.core.recognition.recipe import Parameters
    from fumikura.core.scoring.comparison import find_known_pages
    from fumikura.core.settings import read_settings
    from fumikura.core.training.mining import Miner, write_boxes

    _check_out(out, (*truth, *partial_truth))
    try_device(device)
    settings = read_settings().overridden(segmenter_path=segmenter, classifier_path=classifier)
    known, _ = find_known_pages(
        archives, truth=truth, partial_truth=partial_truth, texts=folders, limits=settings.limits
    )
    pages = _choose_pages(known, without_book)
    out.parent.mkdir(parents=True, exist_ok=True)  # now, since after an hour's reading it is too late
    miner = Miner(*load_networks(settings, device), Parameters())
    mined, failed = _mine(miner, pages, settings, min_confidence=min_confidence)
    if mined:
        write_boxes(out, mined)
    _print(mined, as_json=as_json)
    for line in failed:
        say(line)
    ctx.exit(3 if failed else 0)


def _choose_pages(known: Sequence[KnownPage], without_book: Sequence[str]) -> list[KnownPage]:
    """Choose the pages that have a text, and those that cannot be read, which will say why."""
    without = LeftOut(without_book)
    pages = [page for page in known if page.text is not None and page.reference.book not in without]
    pages += [page for page in known if page.reference.is_stand_in]
    if not pages:
        raise UsageError("no page of these archives has a text; texts are named PAGE.txt, as their page is")
    without.say_unknown()
    return pages


def _print(mined: Sequence[MinedPage], *, as_json: bool) -> None:
    if as_json:
        for item in mined:
            print_json({"page": item.name, **_counts([item])})
    elif mined:
        rows = [(item.name, *_counts([item]).values()) for item in mined]
        rows.append(("all", *_counts(mined).values()))
        print_tables(make_table("page", *_COLUMNS, rows=rows, numbers=range(1, 5)))


def _check_out(out: Path, given: Sequence[Path]) -> None:
    """See that nothing is written over but what was aligned before.

    Raises:
        UsageError: something else is there.
    """
    from fumikura.core.own_files import check_place
    from fumikura.core.training.mining import is_mined

    if {path.resolve() for path in given} & {out.resolve(), *out.resolve().parents}:
        raise UsageError(
            f"{out} was not written by align, but is given as truth; name another file with --out"
        )
    check_place(out, is_mined)


def _mine(
    miner: Miner, pages: Sequence[KnownPage], settings: Settings, *, min_confidence: float
) -> tuple[list[MinedPage], list[str]]:
    """Align all pages; also return a line for each that could not be read."""
    from rich.progress import track

    from fumikura.core.training.mining import mine_page

    mined, failed = [], []
    for page in track(pages, description=translated("aligning"), console=console_for(sys.stderr)):
        try:
            mined.append(mine_page(miner, page, settings, min_confidence=min_confidence))
        except PageError as error:
            failed.append(f"{page.reference.name} was left out: {error}")
    return mined, failed


def _counts(pages: Sequence[MinedPage]) -> dict[str, int]:
    return {
        "text": sum(page.n_text for page in pages),
        "mined": sum(page.n_mined for page in pages),
        "judged": sum(page.n_judged for page in pages),
        "wrong": sum(page.n_wrong for page in pages),
    }
