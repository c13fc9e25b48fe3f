"""Waiting out a database or a broker that went away."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from core.errors import BrokerError, DatabaseError

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What passes when the other side comes back.
OUTAGES = (DatabaseError, BrokerError)

LONGEST_PAUSE_S = 15.0


class Stopped(Exception):  # noqa: N818  # no error: somebody asked for it
    """The worker is to end before its work is done."""


def patiently(action: Callable[[], T], stop: threading.Event) -> T:
    """What `action` returns, tried again as long as the other side is away.

    Raises:
        Stopped: the other side is away, and `stop` is set.
    """
    n_failures = 0
    while True:
        try:
            return action()
        except OUTAGES as error:
            n_failures += 1
            wait_s = pause_s(n_failures)
            log.warning("%s; trying again in %.1f s", error, wait_s)
            if stop.wait(wait_s):
                raise Stopped from error


def pause_s(n_failures: int) -> float:
    """Twice as long after each failure, and never in step with the other workers."""
    longest_s = min(LONGEST_PAUSE_S, 2.0 ** min(n_failures - 1, 10))
    return random.uniform(0.5, 1.0) * longest_s


def one_line(error: BaseException) -> str:
    """The first line of an error's message; its kind if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
