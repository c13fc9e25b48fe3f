"""A worker process keeps its leases while it reads, and ends when the broker has forgotten it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from celery import Celery

from fumikura.core.errors import BrokerError, DatabaseError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import GRACE_S, renew
from fumikura.worker.broker import n_waiting, reached
from fumikura.worker.stream import Stream

log = logging.getLogger(__name__)

#: The exit code of a worker that its broker forgot.
FORGOTTEN = 72
#: A worker without work for so long looks whether there is none.
IDLE_S = 60.0


def start_watching(
    engine: Engine, app: Celery, stream: Stream, *, settings: Settings, stop: threading.Event
) -> None:
    """Renew the leases and look for a forgotten worker, each in a thread, until `stop` is set.

    A worker that is to end is gone before its leases are.
    """
    lease_s = settings.lease_s
    # Often enough to be back before the grace after an outage is over, however long a lease is.
    renew_every_s = min(lease_s / 3, GRACE_S / 2)
    _every(renew_every_s, lambda: _keep_leases(engine, stream, lease_s=lease_s), stop)
    _every(IDLE_S / 2, lambda: _end_if_forgotten(app, stream), stop)


def is_forgotten(app: Celery, stream: Stream) -> bool:
    """Tell whether messages wait although this worker has long had nothing to do.

    After the broker was away, a worker's connection can be alive and yet bring nothing.
    """
    if stream.idle_s < IDLE_S:
        return False
    try:
        with reached(app) as connection:
            return n_waiting(app, connection) > 0
    except BrokerError:
        return False  # away for everybody


def _keep_leases(engine: Engine, stream: Stream, *, lease_s: float) -> None:
    if not stream.in_hand:
        return
    try:
        renew(engine, stream.worker, stream.in_hand, lease_s=lease_s)
    except DatabaseError as error:
        log.warning("leases are not renewed: %s", error)


def _end_if_forgotten(app: Celery, stream: Stream) -> None:
    if not is_forgotten(app, stream):
        return
    time.sleep(5)  # a message may just be on its way
    if is_forgotten(app, stream):
        log.error("messages wait, but none comes here: ending, to be started again")
        logging.shutdown()
        os._exit(FORGOTTEN)


def _every(period_s: float, action: Callable[[], None], stop: threading.Event) -> None:
    def repeat() -> None:
        while not stop.wait(period_s):
            action()

    threading.Thread(target=repeat, daemon=True).start()
