"""Ctrl-C and SIGTERM stop the reading of pages in good order."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fumikura.cli.language import translated
from fumikura.worker.logs import is_json

_MESSAGE = "stopping: unfinished pages go back to the queue (again to stop at once)"


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set `stop`, and a second one raise KeyboardInterrupt."""

    message = f"\n{translated(_MESSAGE)}\n".encode(sys.stderr.encoding, "backslashreplace")

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # Not print: a handler that writes to a stream in the middle of a write to it fails.
        if not is_json():
            with suppress(
                OSError, ValueError
            ):  # the terminal may be gone, and the pages are to go back all the same
                os.write(sys.stderr.fileno(), message)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
