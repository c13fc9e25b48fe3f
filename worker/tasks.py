"""Celery has one task here, which reads a chunk of pages."""

from __future__ import annotations

import logging

from celery import Celery
from celery.exceptions import Reject

from fumikura.worker.broker import READ_CHUNK
from fumikura.worker.outages import Stopped
from fumikura.worker.stream import Stream

log = logging.getLogger(__name__)


def add_tasks(app: Celery, stream: Stream) -> None:
    """Let this process take chunks from the queue of `app`."""

    @app.task(name=READ_CHUNK)  # type: ignore[untyped-decorator]  # celery has no types
    def read_chunk(reading_ids: list[int]) -> None:
        try:
            stream.read(reading_ids)
        except Stopped as stopped:
            raise Reject(stopped, requeue=True) from stopped
        except Exception:
            # MemoryError included: one that leaves the task stops the thread pool for good, and
            # Celery counts a message as done whatever error leaves its task.
            log.exception("chunk %s could not be read", reading_ids)
            stream.give_up()
