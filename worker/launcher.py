"""The launcher reads on this machine, with worker processes and a feeder, until it is done or stopped."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fumikura.core.errors import UsageError
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine, describe
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.transactions import write_transaction
from fumikura.core.store.upgrading import open_database
from fumikura.worker.broker import check_broker, make_app
from fumikura.worker.emptiness import Emptiness
from fumikura.worker.feeder import Feed, feeding
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.metrics_server import watched
from fumikura.worker.outages import Stopped, retry_until_stopped
from fumikura.worker.private_folder import private_folder
from fumikura.worker.prometheus import Metrics
from fumikura.worker.supervision import COMMAND, Children

log = logging.getLogger(__name__)

POLL_S = 0.2


def run_locally(
    settings: Settings,
    engine: Engine,
    run_id: int,
    recipe: Recipe,
    *,
    on_progress: Callable[[RunSummary], None],
    on_stage: Callable[[str], None] = lambda _stage: None,
    stop: threading.Event,
    command: Sequence[str] = COMMAND,
) -> None:
    """Read a run with workers of its own, until nothing of it waits or `stop` is set.

    Without a broker it brings its own queue, in a folder that is gone afterwards.

    Args:
        on_stage: called as often as `on_progress`, with the state of the workers (`worker/reports.py`).
        command: what starts a worker process.

    Raises:
        FumikuraError: no worker can start, and why.
        BrokerError: a broker is set and does not answer.
    """
    check_broker(settings)
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        is_private = settings.broker_url is None
        if is_private:
            settings = replace(settings, broker_url=folder_url(folder))
        logs = None if log.isEnabledFor(logging.INFO) else folder
        # More workers than claims would only start and end.
        begun = run_summary(engine, run_id)
        n_claims = max(1, math.ceil(begun.queued / settings.chunk_size))
        children = Children(
            engine,
            settings,
            recipe,
            most=n_claims if begun.is_listed else None,
            run_id=run_id,
            logs=logs,
            command=command,
        )
        feed = _feed_for(children, engine, settings, recipe, run_id=run_id)
        stack.callback(children.stop)
        stack.enter_context(feeding(feed))
        while not stop.is_set():
            children.look_after()
            started_s = time.monotonic()
            try:
                summary = retry_until_stopped(lambda: run_summary(engine, run_id), stop)
            except Stopped:
                return
            on_stage(children.stage)
            on_progress(summary)
            if summary.is_over:
                if is_private:  # Celery would look two seconds more for messages that nobody sends
                    children.stop(grace_s=0)
                return
            # Counting a million pages takes a while, and is to stay a small share of the work.
            stop.wait(max(POLL_S, 5 * (time.monotonic() - started_s)))


def work(
    settings: Settings,
    recipe: Recipe,
    *,
    stop: threading.Event,
    until_empty: bool = False,
    command: Sequence[str] = COMMAND,
) -> bool:
    """Read what a cluster's queue holds until `stop` is set; return whether it was seen empty before.

    Args:
        until_empty: stop when no page of the recipe waits, and none is in any worker's hands.

    Raises:
        UsageError: no broker is set, or metrics cannot be served where the settings say.
        BrokerError, DatabaseError: one of them does not answer at the start.
        FumikuraError: no worker process can start.
    """
    if settings.broker_url is None:
        raise UsageError(
            "a worker needs a queue that the machines share; set --broker, such as redis://host/0"
            " (on one machine `fumikura run` needs none)"
        )
    check_broker(settings)
    engine = open_database(settings.database_url)
    with write_transaction(engine):
        pass  # refuses a SQLite file into which another machine writes
    # Where a variable is missing this is a file of this machine, of which the others know nothing.
    log.info("reads what stands in %s", describe(settings.database_url))
    metrics = Metrics() if settings.metrics_port else None
    emptiness = Emptiness(engine, recipe)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        if until_empty and emptiness.is_seen(stop):
            return True  # before models are loaded, on which an array of jobs would spend its time
        children = Children(engine, settings, recipe, command=command, metrics=metrics)
        feed = _feed_for(children, engine, settings, recipe)
        if metrics is not None:
            feed = replace(feed, on_expired=metrics.leases_expired.inc)
            stack.enter_context(watched(feed, metrics, names=lambda: children.names))
        stack.callback(children.stop)
        stack.enter_context(feeding(feed))
        while not stop.wait(POLL_S):
            children.look_after()
            if until_empty and emptiness.is_seen(stop):
                return True
        log.info("told to stop: unfinished pages go back to the queue")
    return False


def _feed_for(
    children: Children, engine: Engine, settings: Settings, recipe: Recipe, *, run_id: int | None = None
) -> Feed:
    """Make the feed that wakes these workers, and looks at once when one of them has nothing to read."""
    app = make_app(settings, recipe)
    feed = Feed(engine, app, recipe, settings, run_id=run_id, n_idle=lambda: children.n_idle)
    children.on_idle = feed.hurry.set
    return feed
