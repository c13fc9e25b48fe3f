"""fumikura status: the runs, how far they are, and who is reading."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.table import Table

from cli import options
from cli.database import open_existing
from cli.output import as_duration, counted, make_table, print_json, print_tables
from cli.pace import Pace
from core.settings import Settings
from core.store.queries import Overview, RunSummary, list_runs, overview, run_summary
from core.store.tables import Status

WATCH_S = 2.0


@click.command()
@options.run_id
@click.option(
    "--watch", is_flag=True, help=f"Show it anew every {WATCH_S:.0f} seconds, with the rate; Ctrl-C ends."
)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Newest runs shown.")
@options.settings("database")
@options.as_json
def command(settings: Settings, run_id: int | None, watch: bool, limit: int, as_json: bool) -> None:
    """Show the runs, how far they are, and which workers are reading.

    \b
    done       read for this run
    failed     could not be read (see `fumikura failed`)
    skipped    was read before the run began
    queued     waits for a worker
    leased     a worker is reading it
    cancelled  taken out of the queue

    \b
    Example:
      fumikura status
      fumikura status --watch --db postgresql://db/scans
    """
    engine = open_existing(settings)
    pace = Pace()
    while True:
        runs = [run_summary(engine, run_id)] if run_id is not None else list_runs(engine, limit=limit)
        state = overview(engine)
        pace.note(time.monotonic(), state.readings[Status.DONE])
        if as_json:
            print_json({**asdict(state), "runs": runs})
        else:
            if watch:
                click.clear()
            print_tables(*_tables(state, runs))
            click.echo(_last_line(state, pace))
        if not watch:
            return
        time.sleep(WATCH_S)


def _tables(state: Overview, runs: list[RunSummary]) -> list[Table]:
    counts = ["pages", "done", "failed", "skipped", "queued", "leased"]
    if any(run.cancelled for run in runs):
        counts.append("cancelled")
    rows = [
        (
            run.run,
            f"{run.created_at.astimezone():%m-%d %H:%M}",
            *(getattr(run, count) for count in counts),
            run.command,
        )
        for run in runs
    ]
    numbers = [0, *range(2, 2 + len(counts))]
    shown = [make_table("run", "begun", *counts, "what", rows=rows, numbers=numbers)]
    if state.workers:
        now = datetime.now(UTC)
        holders = [
            (load.worker, load.n_pages, as_duration(max(0.0, (load.lease_until - now).total_seconds())))
            for load in state.workers
        ]
        shown.append(make_table("worker", "pages in hand", "lease ends in", rows=holders, numbers=[1, 2]))
    return shown


def _last_line(state: Overview, pace: Pace) -> str:
    counts = ", ".join(f"{count:,} {status}" for status, count in state.readings.items() if count)
    line = f"{counted(state.n_pages, 'page')}: {counts or 'nothing asked for yet'}"
    speed = pace.pages_per_second
    if speed is None:
        return line
    n_left = state.readings[Status.QUEUED] + state.readings[Status.LEASED]
    return f"{line}; {speed:.2f} pages/s, {as_duration(n_left / speed)} left"
