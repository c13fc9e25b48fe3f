"""Celery has one task here, which reads what waits for a recipe."""

from __future__ import annotations

import logging

from celery import Celery
from celery.exceptions import Reject

from fumikura.worker.broker import READ_WAITING
from fumikura.worker.outages import Stopped
from fumikura.worker.stream import Stream

log = logging.getLogger(__name__)


def add_tasks(app: Celery, stream: Stream) -> None:
    """Let messages from the queue of `app` wake this process."""

    @app.task(name=READ_WAITING)  # type: ignore[untyped-decorator]  # celery has no types
    def read_waiting(recipe_digest: str, run_id: int | None = None) -> None:
        if recipe_digest != stream.recipe_digest:
            log.warning("a message for recipe %s came here, and is left alone", recipe_digest)
            return
        try:
            stream.read_waiting(run_id)
        except Stopped as stopped:
            raise Reject(stopped, requeue=True) from stopped
        except Exception:
            # MemoryError included: one that leaves the task stops the thread pool for good, and
            # Celery counts a message as done whatever error leaves its task.
            log.exception("what is in hand could not be read")
            stream.give_up()
