"""fumikura cancel: take a run's waiting pages out of the queue."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.output import counted, print_json, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.queries import cancel, run_summary


@click.command()
@click.argument("run", type=int)
@options.settings("database")
@options.as_json
def command(settings: Settings, run: int, as_json: bool) -> None:
    """Take the waiting pages of a run out of the queue.

    Pages being read at this moment are finished, and pages that another unfinished run asks
    for too stay in the queue. Running the archive again queues them again.

    \b
    Example:
      fumikura cancel 3
    """
    engine = open_existing(settings, only_reads=False)
    before = run_summary(engine, run)
    n_pages = cancel(engine, run)
    if as_json:
        print_json({"run": run, "cancelled": n_pages})
    if n_pages:
        say(f"run {run}: {counted(n_pages, 'waiting page')} cancelled")
    elif before.is_cancelled:
        say(f"run {run} was cancelled already; no page of it waits")
    else:
        say(f"run {run}: no page waits for it alone, so none left the queue")
