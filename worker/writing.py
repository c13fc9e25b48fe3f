"""A worker's readings are written behind the device, by one thread: all that have piled up at once.

A transaction costs hardly more for eight pages than for one. So the thread waits a moment for more, which
from a slow device do not come, and while it saves them the next pile up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from fumikura.core.page import Reading
from fumikura.core.recognition.suspicion import with_suspicions
from fumikura.core.scoring.metrics import score
from fumikura.core.store.saving import Result
from fumikura.worker.decoding import DecodedPage

#: Pages that are saved together at most: a transaction is to be brief, whatever stands on them.
MOST_TOGETHER = 16
#: Seconds in which more pages may come to be saved together with the first.
GATHER_S = 0.05


@dataclass(frozen=True, slots=True)
class ReadPage:
    page: DecodedPage
    reading: Reading


class Writer:
    """A writer hands the pages that are put into it to `save`, in their order and some at a time.

    Args:
        save: called with one page or several; what it raises, `finish` raises.
        thread: the one thread in which it is called.
    """

    def __init__(self, save: Callable[[Sequence[ReadPage]], None], *, thread: ThreadPoolExecutor) -> None:
        self._save = save
        self._thread = thread
        self._waiting: deque[ReadPage] = deque()
        self._writes: deque[Future[None]] = deque()
        self._hurry = threading.Event()

    def put(self, page: ReadPage) -> None:
        self._waiting.append(page)
        self._writes.append(self._thread.submit(self._write))

    def finish(self, *, n_left: int = 0) -> None:
        """Wait until all pages are saved but the last few that were put in."""
        if len(self._writes) <= n_left:
            return
        self._hurry.set()
        while len(self._writes) > n_left:
            self._writes.popleft().result()
        self._hurry.clear()

    def _write(self) -> None:
        """Save what waits. Each call takes a page if there is one, so that none waits when all are done."""
        if not self._waiting:
            return
        self._hurry.wait(GATHER_S)
        self._save([self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))])


def judge(read: ReadPage) -> Result:
    """Make of a page what is saved of it: with its scores, if its truth is known, and what looks wrong."""
    claimed, reading = read.page.claim, with_suspicions(read.page.image, read.reading)
    scores = None if claimed.truth is None else score(reading, claimed.truth)
    return Result(claimed.reading_id, reading, scores, claimed.truth)
