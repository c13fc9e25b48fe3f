"""The feeder of a launcher wakes its workers when pages wait, and takes pages back from the dead.

The database is the truth. A message says no more than that there is work, and a worker that gets one takes
pages until none waits: so messages may be lost, and come twice or in vain.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from celery import Celery

from fumikura.core.errors import BrokerError, DatabaseError
from fumikura.core.pauses import LONGEST_PAUSE_S
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import return_expired, return_leases
from fumikura.core.store.queue import glance, n_waiting_pages
from fumikura.worker.broker import make_app, n_waiting, reached, wake
from fumikura.worker.identity import is_dead
from fumikura.worker.outages import Stopped, retry_until_stopped

log = logging.getLogger(__name__)

#: Seconds between two looks: for so long a worker may idle whose message was lost.
PERIOD_S = 3.0
#: Seconds between two looks that are wanted at once.
SHORTEST_PERIOD_S = 0.2
#: Messages that may wait at a broker for more workers than there are.
MOST_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed says whose workers are woken for which pages, through which broker.

    Attributes:
        run_id: only pages of this run; None means all that wait for the recipe.
        n_idle: tells how many workers here have nothing to read.
        on_expired: told how many pages were taken back because their leases ran out.
        hurry: set from outside when a look is wanted at once, as a worker got ready or idle.
    """

    engine: Engine
    app: Celery
    recipe: Recipe
    settings: Settings
    run_id: int | None = None
    n_idle: Callable[[], int] = lambda: 1
    on_expired: Callable[[int], None] = lambda _n_pages: None
    hurry: threading.Event = field(default_factory=threading.Event)


def wake_cluster(settings: Settings, engine: Engine, recipe: Recipe) -> None:
    """Wake the workers of a cluster, which would find out by themselves within a few seconds."""
    if settings.broker_url is None:
        return
    try:
        n_pages = n_waiting_pages(engine, recipe.digest, most=MOST_MESSAGES * settings.chunk_size)
        wake_up_to(make_app(settings, recipe), recipe, -(-n_pages // settings.chunk_size))
    except (BrokerError, DatabaseError) as error:
        log.warning("%s; the pages wait in the database", error)


def wake_up_to(app: Celery, recipe: Recipe, n_workers: int, *, run_id: int | None = None) -> None:
    """Send messages until so many wait.

    Raises:
        BrokerError: the broker is away.
    """
    with reached(app) as connection:
        n_missing = n_workers - n_waiting(app, connection)
        wake(app, connection, recipe, n_missing, run_id=run_id)
    if n_missing > 0:
        log.debug("%d messages sent", n_missing)


def keep_feeding(feed: Feed, stop: threading.Event) -> None:
    """Feed every PERIOD_S, or when it is wanted, until `stop` is set, through all outages."""
    while not stop.is_set():
        try:
            retry_until_stopped(lambda: feed_once(feed), stop)
        except Stopped:
            return
        except Exception:
            # A run whose feeder is gone would wait for ever without a word.
            log.exception("workers could not be woken; trying again in %.0f s", LONGEST_PAUSE_S)
            stop.wait(LONGEST_PAUSE_S)
        # Jitter: many launchers that look in step would all see the same, and all act upon it.
        stop.wait(SHORTEST_PERIOD_S)
        feed.hurry.wait(random.uniform(0.8, 1.2) * PERIOD_S - SHORTEST_PERIOD_S)
        feed.hurry.clear()


def feed_once(feed: Feed) -> None:
    """Take back the pages of the dead, and wake as many workers as are idle here, if pages wait.

    Raises:
        BrokerError, DatabaseError: what was not done now is done later.
    """
    n_idle = feed.n_idle()
    seen = glance(feed.engine, feed.recipe.digest, run_id=feed.run_id, is_idle=n_idle > 0)
    n_returned = return_lost(feed.engine, seen.holders, max_attempts=feed.settings.max_attempts)
    feed.on_expired(n_returned)
    if seen.some_wait or (n_returned and n_idle):
        wake_up_to(feed.app, feed.recipe, n_idle, run_id=feed.run_id)


def return_lost(engine: Engine, holders: Iterable[str], *, max_attempts: int) -> int:
    """Take back the leases of dead processes of this host, and any that ran out; count the latter.

    Args:
        holders: workers that hold leases; of none, none are taken back.
    """
    living = []
    for worker in holders:
        if is_dead(worker):
            log.warning("worker %s is dead; its pages go back to the queue", worker)
            return_leases(engine, worker, max_attempts)
        else:
            living.append(worker)
    return return_expired(engine, max_attempts) if living else 0


@contextmanager
def feeding(feed: Feed) -> Iterator[None]:
    """Run a feeder in a thread of its own for as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=keep_feeding, args=(feed, stop), name="feeder", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        feed.hurry.set()
        thread.join(timeout=5.0)
