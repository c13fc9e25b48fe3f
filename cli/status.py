"""fumikura status: show the runs, how far they are, and who is reading."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Group

from fumikura.cli import options
from fumikura.cli.output import console_for, print_json, print_tables, put, say
from fumikura.cli.rates import RecentPace
from fumikura.cli.status_tables import Picture, as_object, last_lines, tables
from fumikura.core.errors import DatabaseError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.failures import failure_reasons
from fumikura.core.store.queries import list_runs, overview, run_summary
from fumikura.core.store.workers import list_workers, unread_recipes

WATCH_S = 2.0


@click.command()
@options.run_id
@click.option(
    "--watch",
    is_flag=True,
    help=f"Show it anew every {WATCH_S:.0f} seconds, with rates and time left; Ctrl-C ends.",
)
@options.limit(10, "Newest runs shown.")
@options.settings("database")
@options.as_json
def command(settings: Settings, run_id: int | None, watch: bool, limit: int, as_json: bool) -> None:
    """Show how far the runs are, who is reading, and why pages failed.

    \b
    done       read for this run
    failed     could not be read (see `fumikura failed`)
    skipped    was read before the run began
    queued     waits for a worker
    leased     a worker is reading it
    cancelled  taken out of the queue

    Of pages with a + more are being added, or that was cut off: give that command again.
    Reasons are those of the newest 1,000 failures; `fumikura failed` lists all.

    A worker is starting, idle, reading, paused (and says why), or gone: not heard of for a
    minute. With --watch, rates are those of the last five minutes at most, at first those
    since the worker started; with --json too, each look is one line.

    \b
    Example:
      fumikura status
      fumikura status --watch --db postgresql://db/scans
    """
    engine = open_existing(settings)
    pace = RecentPace() if watch else None
    with _shown(as_json=as_json, watch=watch) as show:
        while True:
            started_s = time.monotonic()
            try:
                show(_look(engine, run_id, limit=limit, pace=pace))
            except DatabaseError as error:
                if not watch:
                    raise
                say(f"{error}; trying again")
            if not watch:
                return
            # Counting a million pages takes a while, and must not be all that the database does.
            time.sleep(max(WATCH_S, 5 * (time.monotonic() - started_s)))


def _look(engine: Engine, run_id: int | None, *, limit: int, pace: RecentPace | None) -> Picture:
    runs = [run_summary(engine, run_id)] if run_id is not None else list_runs(engine, limit=limit)
    workers = list_workers(engine)
    if pace is not None:
        pace.note(workers)
    return Picture(
        overview(engine),
        runs,
        workers,
        unread_recipes(engine),
        failure_reasons(engine, run_id),
        None if pace is None else pace.by_worker,
    )


@contextmanager
def _shown(*, as_json: bool, watch: bool) -> Iterator[Callable[[Picture], None]]:
    """Yield a function that shows a picture: in the place of the last one, where there is a terminal."""
    if as_json:
        yield lambda picture: print_json(as_object(picture))
    elif watch and sys.stdout.isatty():
        from rich.live import Live  # a plain `status` starts without it

        with Live(console=console_for(sys.stdout), auto_refresh=False) as live:
            yield lambda picture: live.update(_as_group(picture), refresh=True)
    else:
        yield _print


def _print(picture: Picture) -> None:
    print_tables(*tables(picture))
    put(last_lines(picture))


def _as_group(picture: Picture) -> Group:
    spaced = [part for table in tables(picture) for part in (table, "")]
    return Group(*spaced, last_lines(picture))
