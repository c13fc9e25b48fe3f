"""This module looks every few seconds whether a launcher gets on with its work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from fumikura.core.counting import counted
from fumikura.core.errors import BrokerError, DatabaseError
from fumikura.core.settings import Settings
from fumikura.core.store.leases import leaseholders
from fumikura.core.store.queue import count_readings
from fumikura.core.store.tables import Status
from fumikura.core.store.workers import unread_recipes
from fumikura.worker.broker import n_waiting, reached
from fumikura.worker.feeder import Feed
from fumikura.worker.prometheus import Metrics

log = logging.getLogger(__name__)

LOOK_S = 5.0

#: Statuses whose readings are few, or are what the work is: to count all that is done takes too long.
COUNTED = (Status.QUEUED, Status.LEASED, Status.FAILED, Status.QUARANTINED)

#: Longer than the time limits allow for pages in hand, so that a page that hangs is found out before
#: somebody starts red workers anew.
_SLACK = 1.25


def stall_limit_s(settings: Settings) -> float:
    """Return how long work may stand still before it is an alarm."""
    longest_s = settings.page_time_limit_s * settings.pages_per_batch
    return settings.stall_limit_s or _SLACK * longest_s


@dataclass(slots=True)
class Pulse:
    """A pulse is red once there was work and no step for `limit_s`.

    Attributes:
        since_s: when the work began to stand still; None while there is none.
        pauses: why workers take no pages for now, by device.
    """

    limit_s: float
    since_s: float | None = None
    n_steps: int = 0
    what: str = "idle"
    pauses: Mapping[str, str] = field(default_factory=dict)

    def note(self, now_s: float, *, n_steps: int, work: str | None) -> None:
        """Note what is seen now.

        Args:
            n_steps: steps since the beginning.
            work: what there is to do, for a person; None if nothing.
        """
        has_moved = n_steps != self.n_steps
        if work is None:
            self.since_s = None
        elif has_moved or self.since_s is None:
            self.since_s = now_s
        self.n_steps, self.what = n_steps, work or "idle"

    def is_red(self, now_s: float) -> bool:
        return self.since_s is not None and now_s - self.since_s > self.limit_s

    def line(self, now_s: float) -> str:
        """Return the line that answers /healthz."""
        line = self.what
        if self.since_s is not None:
            still_s = now_s - self.since_s
            line += f"; no step for {still_s:.0f} s, which may be {self.limit_s:.0f}"
        return line + "".join(f"; {device} is paused: {reason}" for device, reason in self.pauses.items())


def watch_health(
    feed: Feed,
    metrics: Metrics,
    pulse: Pulse,
    *,
    names: Callable[[], Collection[str]],
    stop: threading.Event,
) -> None:
    """Look every LOOK_S until `stop` is set, and less often where looking takes long.

    Args:
        names: under which the worker processes of this launcher lease pages.
    """
    took_s = 0.0
    while not stop.wait(max(LOOK_S, 10 * took_s)):
        started_s = time.monotonic()
        try:
            work = _work(feed, metrics, names())
            _ask_broker(feed, metrics)
        except Exception:
            log.exception("the state of the work could not be looked at")
            work = "its state cannot be told"
        pulse.note(time.monotonic(), n_steps=metrics.n_steps, work=work)
        pulse.pauses = metrics.pauses
        metrics.healthy.set(not pulse.is_red(time.monotonic()))
        took_s = time.monotonic() - started_s


def _work(feed: Feed, metrics: Metrics, names: Collection[str]) -> str | None:
    """Say what this launcher has to do; a database that is away counts as work that stands still."""
    try:
        counts = count_readings(feed.engine, feed.recipe.digest, COUNTED)
        n_queued = counts[Status.QUEUED]
        holds = not set(names).isdisjoint(leaseholders(feed.engine))
        unread = unread_recipes(feed.engine)
    except DatabaseError:
        metrics.server_up.labels("database").set(0)
        return "the database does not answer"
    metrics.server_up.labels("database").set(1)
    metrics.note_unread({one.recipe_digest[:12]: one.n_pages for one in unread})
    for status, count in counts.items():
        metrics.readings.labels(feed.recipe.digest[:12], status.value).set(count)
    if n_queued:
        return f"{counted(n_queued, 'page')} queued"
    return "pages in hand" if holds else None


def _ask_broker(feed: Feed, metrics: Metrics) -> None:
    try:
        with reached(feed.app) as connection:
            metrics.messages.labels(feed.recipe.digest[:12]).set(n_waiting(feed.app, connection))
    except BrokerError:
        metrics.server_up.labels("broker").set(0)
    else:
        metrics.server_up.labels("broker").set(1)
