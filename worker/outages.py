"""Wait out a database or a broker that went away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from fumikura.core.errors import BrokerError, DatabaseError
from fumikura.core.pauses import pause_s

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Errors that pass when the other side comes back.
OUTAGES = (DatabaseError, BrokerError)


class Stopped(Exception):  # noqa: N818  # no error: somebody asked for it
    """This says that the worker is to end before its work is done."""


def retry_until_stopped(action: Callable[[], T], stop: threading.Event) -> T:
    """Return what `action` returns; try it again for as long as the other side is away.

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
