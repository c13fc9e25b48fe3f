"""fumikura worker: read what stands in the queue."""

from __future__ import annotations

import logging
import threading

import click

from fumikura.cli import options
from fumikura.cli.stop_signals import stopped_by_signals
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings


@click.command()
@options.settings("database", "broker", "devices", "recipe", "watching", "reach")
@click.option(
    "--until-empty",
    is_flag=True,
    help="End when no page for these weights waits or is in a worker's hands: for batch schedulers.",
)
@click.pass_context
def command(ctx: click.Context, settings: Settings, until_empty: bool) -> None:
    """Read pages that others enqueued, until stopped.

    Starts one process a device on this machine and looks after it. Start as many workers on
    as many machines as you like: each page is read once. Ctrl-C or SIGTERM hands back what
    is unfinished. With --metrics-port, one port serves the figures of all its processes, and
    /healthz says 503 when there is work and nothing moves.

    \b
    Example:
      fumikura worker --broker redis://queue/0 --db postgresql://db/scans
      fumikura worker --metrics-port 9464 --log-format json
      fumikura worker --until-empty

    Exit code: 0 told to stop, or with --until-empty nothing is left to be read; 130 told to stop while
    --until-empty saw something left, which other workers go on with; 1 it cannot work here.
    """
    from fumikura.worker.identity import host_name
    from fumikura.worker.launcher import work  # loads Celery, which --help does not need
    from fumikura.worker.logs import use_format

    # An operator reads the log of a worker; a person at `run` has a progress bar.
    logging.getLogger().setLevel(logging.INFO)
    use_format(settings.log_format, worker=host_name(settings))
    stop = threading.Event()
    with stopped_by_signals(stop):
        is_empty = work(settings, recipe_of(settings), stop=stop, until_empty=until_empty)
    ctx.exit(130 if until_empty and not is_empty else 0)
