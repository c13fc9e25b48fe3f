"""This module works out how fast pages are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Pages that finish within this time of the very first were read in the same batch.
FIRST_BATCH_S = 2.0


@dataclass(slots=True)
class Pace:
    """A pace is pages a second since the first ones were finished, so without the start of the workers.

    The pages that finish first come in one batch; they and the time before them are left out.
    """

    began_s: float | None = None
    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None

    def note(self, now_s: float, n_done: int) -> None:
        if n_done > (self.last[1] if self.last else 0):
            self.last = (now_s, n_done)
            self.began_s = now_s if self.began_s is None else self.began_s
            if now_s - self.began_s < FIRST_BATCH_S:
                self.first = self.last

    @property
    def pages_per_second(self) -> float | None:
        """Return the rate; None until a second batch has finished."""
        if self.first is None or self.last is None or self.last[0] <= self.first[0]:
            return None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


@dataclass(slots=True)
class RecentPace:
    """A recent pace is each worker's pages a second over the last minutes."""

    window_s: float = 300.0
    seen: deque[tuple[float, Mapping[str, int]]] = field(default_factory=deque)

    def note(self, now_s: float, n_done: Mapping[str, int]) -> None:
        self.seen.append((now_s, n_done))
        while now_s - self.seen[0][0] > self.window_s:
            self.seen.popleft()

    @property
    def by_worker(self) -> dict[str, float]:
        """Return the rates of those that finished a page meanwhile; none before the second look."""
        (first_s, before), (last_s, now) = self.seen[0], self.seen[-1]
        grown = {worker: n_pages - before.get(worker, 0) for worker, n_pages in now.items()}
        return {worker: n_pages / (last_s - first_s) for worker, n_pages in grown.items() if n_pages > 0}

    @property
    def pages_per_second(self) -> float | None:
        """Return the rate of all together; None before the second look."""
        return sum(self.by_worker.values()) if len(self.seen) > 1 else None
