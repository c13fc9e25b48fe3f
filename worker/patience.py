"""Celery waits between two tries to reach a broker that is gone, but not where it is there and says no."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from celery.signals import worker_shutting_down
from celery.worker.consumer import Consumer

from fumikura.core.errors import first_line
from fumikura.core.pauses import LONGEST_PAUSE_S, pause_s

log = logging.getLogger(__name__)

#: The setting `worker_consumer` takes a name.
PATIENT_CONSUMER = f"{__name__}:PatientConsumer"


class PatientConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """This consumer asks a broker that said no again, in growing pauses."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._n_failures = 0
        self._failed_s = 0.0
        self._stop = threading.Event()
        worker_shutting_down.connect(self._end, weak=False)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self._wait(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        self._wait(exc)

    def _wait(self, error: Exception) -> None:
        is_again = time.monotonic() - self._failed_s < 2 * LONGEST_PAUSE_S
        self._n_failures = self._n_failures + 1 if is_again else 1
        seconds = pause_s(self._n_failures)
        log.warning("the broker takes no orders (%s); asking again in %.1f s", first_line(error), seconds)
        self._stop.wait(seconds)
        self._failed_s = time.monotonic()

    def _end(self, **_: Any) -> None:
        self._stop.set()
