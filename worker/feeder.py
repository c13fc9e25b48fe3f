"""The feeder keeps a few chunks of queued readings announced to the broker.

The database is the truth, and the broker only wakes workers: what it loses is announced again, and what
comes twice finds nothing left to claim.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery

from fumikura.core.errors import BrokerError
from fumikura.core.pauses import LONGEST_PAUSE_S
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.feeding import announce, take_turn
from fumikura.core.store.leases import leaseholders, return_expired, return_leases
from fumikura.worker.broker import make_app, n_waiting, reached, send
from fumikura.worker.identity import is_dead
from fumikura.worker.outages import Stopped, retry_until_stopped

log = logging.getLogger(__name__)

PERIOD_S = 0.5


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed says which readings are announced to which broker.

    Attributes:
        run_id: only readings of this run; None means all that wait for the recipe.
        on_expired: told how many pages were taken back because their leases ran out.
    """

    engine: Engine
    app: Celery
    recipe: Recipe
    settings: Settings
    run_id: int | None = None
    on_expired: Callable[[int], None] = lambda _n_pages: None


def announce_now(settings: Settings, engine: Engine, recipe: Recipe) -> None:
    """Wake the workers of a cluster, which would find out by themselves within a second or so."""
    if settings.broker_url is None:
        return
    try:
        announce_more(Feed(engine, make_app(settings, recipe), recipe, settings))
    except BrokerError as error:
        log.warning("%s; the pages wait in the database", error)


def keep_feeding(feed: Feed, stop: threading.Event) -> None:
    """Feed every PERIOD_S until `stop` is set, through all outages."""
    try:
        if feed.run_id is not None:
            # What an earlier run announced, it announced to a broker that is no more.
            retry_until_stopped(lambda: announce_more(feed, announce_again_s=0.0), stop)
        # Jitter: of two feeders that ask in step, always the same one would get the turn.
        while not stop.wait(random.uniform(0.8, 1.2) * PERIOD_S):
            try:
                retry_until_stopped(lambda: feed_once(feed), stop)
            except Stopped:
                raise
            except Exception:
                # A run whose feeder is gone would wait for ever without a word.
                log.exception("no pages could be announced; trying again in %.0f s", LONGEST_PAUSE_S)
                stop.wait(LONGEST_PAUSE_S)
    except Stopped:
        return


def feed_once(feed: Feed) -> None:
    """Take back the pages of the dead and announce what waits, if it is this feeder's turn.

    Raises:
        BrokerError, DatabaseError: what was not done now is done later.
    """
    feed.on_expired(return_lost(feed.engine, feed.settings.max_attempts))
    # Turns are for the many workers of a cluster. A run has but one feeder.
    if feed.run_id is not None or take_turn(feed.engine, PERIOD_S, recipe_digest=feed.recipe.digest):
        announce_more(feed)


def return_lost(engine: Engine, max_attempts: int) -> int:
    """Take back the leases of dead processes of this host, and any that ran out; count the latter."""
    for worker in leaseholders(engine):
        if is_dead(worker):
            log.warning("worker %s is dead; its pages go back to the queue", worker)
            return_leases(engine, worker, max_attempts)
    return return_expired(engine, max_attempts)


def announce_more(feed: Feed, *, announce_again_s: float | None = None) -> None:
    """Send messages for queued readings until a window of them waits at the broker."""
    settings = feed.settings
    with reached(feed.app) as connection:
        # Where workers are slow, an announcement grows old while its message still waits:
        # sending it again would fill the queue with chunks that are done when their turn comes.
        if 2 * n_waiting(feed.app, connection) > settings.window:
            return
        chunks = announce(
            feed.engine,
            recipe_digest=feed.recipe.digest,
            run_id=feed.run_id,
            window=settings.window,
            chunk_size=settings.chunk_size,
            announce_again_s=settings.announce_again_s if announce_again_s is None else announce_again_s,
        )
        for chunk in chunks:
            send(feed.app, connection, chunk)
    if chunks:
        log.debug("announced %d chunks", len(chunks))
