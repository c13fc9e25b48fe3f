"""A worker process reports each event to its launcher, as a line of JSON on standard output.

A pipe, and not prometheus-client's files shared by several processes: a process killed while it makes
such a file leaves it empty, after which nothing can be read of any (its issue 1199), and a full disk
would end the worker in the middle of a page.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

log = logging.getLogger(__name__)

STANDARD_OUTPUT = 1

#: States of a worker process: it runs; its weights are loaded; it has read a page of its own; it waits for
#: others'.
RUNS, LOADED, TRIED, READY = "runs", "loaded", "tried", "ready"
#: Between these two it goes back and forth from then on.
READING, IDLE = "reading", "idle"


@dataclass(slots=True)
class Reports:
    """A worker process sends its reports through this, and remembers of them what `status` shows.

    Attributes:
        file: descriptor of a pipe; None means that nobody listens.
        n_done: pages read so far.
        paused: why the worker takes no pages for now; None while it does.
    """

    file: int | None = None
    n_done: int = 0
    paused: str | None = None

    def state(self, name: str) -> None:
        """Report that a state is reached: RUNS, LOADED, TRIED, READY, READING or IDLE."""
        self._send({"state": name})

    def page(self, outcome: str, timings_s: Mapping[str, float] | None = None) -> None:
        """Report that a page is "done" or "failed", with the seconds of each stage."""
        self.n_done += outcome == "done"
        self._send({"page": outcome, "at": time.time(), "seconds": dict(timings_s or {})})

    def batch(self, n_pages: int, capacity: int) -> None:
        """Report that so many pages are read together where there was room for `capacity`."""
        self._send({"batch_fill": n_pages / capacity})

    def pause(self, reason: str | None) -> None:
        """Report that the worker takes no pages for now, and why; None: it does again."""
        self.paused = reason
        self._send({"paused": reason})

    def _send(self, event: Mapping[str, Any]) -> None:
        if self.file is None:
            return
        # A launcher that is gone reads nothing; that it is gone is noticed elsewhere.
        with suppress(OSError):
            os.write(self.file, json.dumps(event).encode() + b"\n")  # shorter than a pipe may cut in two


def listen(process: Popen[bytes], take: Callable[[Mapping[str, Any]], None]) -> threading.Thread:
    """Hand on a worker process's reports until it ends, in a thread."""
    thread = threading.Thread(target=_listen, args=(process, take), name="reports", daemon=True)
    thread.start()
    return thread


def _listen(process: Popen[bytes], take: Callable[[Mapping[str, Any]], None]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            try:
                take(json.loads(line))
            except (ValueError, LookupError, TypeError):
                log.debug("half a report, of a process that was killed: %r", line)


def take_standard_output() -> Reports:
    """Keep standard output for reports; what libraries print, Celery's farewell for one, goes nowhere."""
    file = os.dup(STANDARD_OUTPUT)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), STANDARD_OUTPUT)
    return Reports(file)
