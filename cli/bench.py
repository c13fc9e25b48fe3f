"""fumikura bench: measure how fast this machine reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
from rich.table import Table

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.output import counted, make_table, print_json, print_tables, put, say, waiting
from fumikura.core.archives.listing import list_pages
from fumikura.core.own_files import check_place
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import PRECISIONS, Settings

if TYPE_CHECKING:
    from fumikura.worker.bench import Measurement

#: Enough for a p95, and for a minute or so on two slow cores.
_MOST_PAGES = 48
#: Longer times are told in hours.
_LONG_S = 5400.0


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.option(
    "--pages",
    "n_pages",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many pages to time; more than there are come again under new bytes."
    f" [default: all, at most {_MOST_PAGES}]",
)
@click.option(
    "--long-side",
    "long_sides",
    type=click.IntRange(16, 20_000),
    multiple=True,
    metavar="PIXELS",
    help="Resize the pages' files to this long side first. Repeatable. [default: as they are]",
)
@click.option(
    "--against",
    type=click.Choice(PRECISIONS),
    help="Read the same pages in this precision too, in turns, and compare the two.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="How many turns both take with --against.",
)
@click.option(
    "--total",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Say how long so many pages would take.",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a trace of one group of pages of the first size, for chrome://tracing.",
)
@options.settings("devices", "recipe", "reach")
@options.as_json
def command(
    settings: Settings,
    archives: tuple[str, ...],
    n_pages: int | None,
    long_sides: tuple[int, ...],
    against: str | None,
    rounds: int,
    total: int,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Measure how fast this machine reads your pages.

    ARCHIVE is what `fumikura run` takes. The pages are copied into a temporary folder and read from
    there into a SQLite database beside them, by as many workers side by side as a run of them has;
    your own database is not touched. Start and warm-up are timed apart. GPU utilisation needs
    `fumikura[gpu]`.

    \b
    Example:
      fumikura bench scans.zip
      fumikura bench scans.zip --long-side 1024 --long-side 2048 --long-side 4096
      fumikura bench scans.zip --workers 4 --against fp32 --total 250000
      fumikura bench scans/ --pages 2000 --devices cuda:0 --trace trace.json
    """
    recipe_of(settings)  # before anything else: weights that do not fit
    if trace is not None and not trace.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {trace.parent}; make it first", param_hint="--trace")
    with waiting("looking for pages"):
        pages = list_pages(archives, limits=settings.limits).pages
    from fumikura.worker.bench import is_trace, measure  # loads numpy

    if trace is not None:
        check_place(trace, is_trace)
    ways = [settings] if against is None else [settings, settings.overridden(precision=against)]
    measured: dict[tuple[int | None, str], list[Measurement]] = {}
    turns = product(long_sides or (None,), range(1 if against is None else rounds), ways)
    for long_side, _, way in turns:
        with waiting(f"reading pages of {_size(long_side)}"):
            one = measure(
                way,
                pages,
                n_pages=n_pages or min(len(pages), _MOST_PAGES),
                long_side=long_side,
                trace=None if measured else trace,
            )
        if one.failed:
            say(f"{one.failed:,} of {counted(one.pages, 'page')} cannot be read; `fumikura run` says why")
        if as_json:
            print_json(one)
        measured.setdefault((long_side, way.precision), []).append(one)
    if not as_json:
        _show(list(measured.values()), n_ways=len(ways), total=total)
    if trace is not None:
        say(f"trace: {trace}")


def _show(rounds: Sequence[Sequence[Measurement]], *, n_ways: int, total: int) -> None:
    """Show what was measured: of each size and way the round in the middle.

    Args:
        rounds: of the first size in each way, then of the next.
    """
    middle = [sorted(some, key=lambda one: one.pages_per_second)[len(some) // 2] for some in rounds]
    workers, device = counted(middle[0].workers, "worker"), middle[0].device
    put(translated(f"Read side by side by {workers} on {device}"))  # too long for a title, which is folded
    print_tables(_overview(middle), _stages(middle))
    for one in middle:
        put(_many_pages(one, total))
    for first in range(0, len(rounds), n_ways):
        for other in rounds[first + 1 : first + n_ways]:
            turns = zip(rounds[first], other, strict=True)
            ratio = median(one.pages_per_second / two.pages_per_second for one, two in turns)
            first_way, other_way, n_rounds = (
                middle[first].precision,
                other[0].precision,
                counted(len(other), "round"),
            )
            put(translated(f"{first_way}: × {ratio:.2f} the pages/s of {other_way} ({n_rounds} in turns)"))


def _overview(measured: Sequence[Measurement]) -> Table:
    """Show what was measured, a column for each size."""
    rows = [
        (translated("precision"), *(one.precision for one in measured)),
        (translated("pages"), *(one.pages for one in measured)),
        (translated("pages/s"), *(f"{one.pages_per_second:.2f}" for one in measured)),
        (translated("pages an hour"), *(f"{one.pages_per_hour:,.0f}" for one in measured)),
        (translated("CPU s/page"), *(one.cpu_s_per_page for one in measured)),
        (translated("share of the networks"), *(_percent(one.networks_share) for one in measured)),
        (translated("patches a page"), *(f"{one.inputs_per_page['patches']:.1f}" for one in measured)),
        (translated("characters a page"), *(f"{one.inputs_per_page['crops']:.1f}" for one in measured)),
        *(
            (translated(f"batch fill, {kind}"), *(_percent(one.batch_fill[kind]) for one in measured))
            for kind in ("pages", "patches", "crops")
        ),
        (translated("GPU busy"), *(_percent(one.gpu_utilisation) for one in measured)),
        (translated("peak memory of a worker"), *(_mib(one.peak_memory_bytes) for one in measured)),
        (translated("peak GPU memory of a worker"), *(_mib(one.peak_gpu_memory_bytes) for one in measured)),
        (translated("start"), *(f"{one.start_s:.1f} s" for one in measured)),
        (translated("warm-up"), *(f"{one.warm_up_s:.1f} s" for one in measured)),
    ]
    sizes = [_size(one.long_side) for one in measured]
    return make_table("", *sizes, rows=rows, numbers=range(1, 1 + len(sizes)))


def _many_pages(measured: Measurement, total: int) -> str:
    """Say how long people wait for many pages."""
    seconds, workers = total / measured.pages_per_second, counted(measured.workers, "worker")
    about = counted(round(seconds / 60), "minute")
    if seconds >= _LONG_S:
        about = f"{seconds / 3600:,.1f} hours"
    where = translated(f"about {about} on this machine ({measured.processor}) with {workers}")
    many = translated(counted(total, "page"))
    if measured.long_side is None:
        return f"{many}: {where}"
    return f"{many} ({translated(_size(measured.long_side))}): {where}"


def _stages(measured: Sequence[Measurement]) -> Table:
    rows = [
        (translated(_size(one.long_side)), stage, found["p50_s"], found["p95_s"], _percent(found["share"]))
        for one in measured
        for stage, found in one.stages.items()
    ]
    columns = ("size", "stage", "p50 s/page", "p95 s/page", "share")
    return make_table(*columns, rows=rows, numbers=range(2, 5), title="Stages of a page")


def _size(long_side: int | None) -> str:
    return "their own size" if long_side is None else f"{long_side} pixels"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"


def _mib(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else f"{size_bytes / 2**20:,.0f} MiB"
