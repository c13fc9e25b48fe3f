"""fumikura worker: read what stands in the queue."""

from __future__ import annotations

import logging
import threading

import click

from cli import options
from cli.interruption import stopped_by_signals
from core.recipe import recipe_of
from core.settings import Settings


@click.command()
@options.settings("database", "broker", "devices", "recipe")
def command(settings: Settings) -> None:
    """Read pages that others enqueued, until stopped.

    Starts one process a device on this machine and looks after it. Start as many workers on
    as many machines as you like: each page is read once. Ctrl-C or SIGTERM hands back what
    is unfinished.

    \b
    Example:
      fumikura worker --broker redis://queue/0 --db postgresql://db/scans
    """
    from worker.launcher import work  # loads Celery, which --help does not need

    # An operator reads the log of a worker; a person at `run` has a progress bar.
    logging.getLogger().setLevel(logging.INFO)
    stop = threading.Event()
    with stopped_by_signals(stop):
        work(settings, recipe_of(settings), stop=stop)
