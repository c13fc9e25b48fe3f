"""Ctrl-C and SIGTERM stop the reading of pages in good order."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fumikura.worker.logs import is_json

_MESSAGE = b"\nstopping: unfinished pages go back to the queue (again to stop at once)\n"


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set `stop`, and a second one raise KeyboardInterrupt."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # Not print: a handler that writes to a stream in the middle of a write to it fails.
        if not is_json():
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _MESSAGE)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
