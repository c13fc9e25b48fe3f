"""This module works out how fast pages are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fumikura.core.store.workers import Worker

#: Pages that finish within this time of the very first were read in the same batch.
FIRST_BATCH_S = 2.0
#: In less time, a page more or less is half the rate.
SHORTEST_S = 20.0


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
    """A recent pace is each worker's pages a second over the last minutes, by what it said and when."""

    window_s: float = 300.0
    _told: dict[str, deque[tuple[datetime, int]]] = field(default_factory=dict)
    _since_start: dict[str, float | None] = field(default_factory=dict)

    def note(self, workers: Sequence[Worker]) -> None:
        """Note a look at the workers; those that are not there any more are forgotten."""
        self._told = {
            worker.name: self._told.get(worker.name, deque())
            for worker in workers
            if worker.seen_at is not None
        }
        for worker in workers:
            if worker.seen_at is None or worker.started_at is None:
                continue
            told = self._told[worker.name]
            if not told or told[-1][0] != worker.seen_at:
                told.append((worker.seen_at, worker.n_done))
            while (told[-1][0] - told[0][0]).total_seconds() > self.window_s:
                told.popleft()
            life_s = (worker.seen_at - worker.started_at).total_seconds()
            self._since_start[worker.name] = worker.n_done / life_s if worker.n_done and life_s else None

    @property
    def by_worker(self) -> dict[str, float | None]:
        """Return the rates by unique name: first those since the start, None where nothing was read yet."""
        rates = {name: _rate(told) for name, told in self._told.items()}
        return {name: self._since_start[name] if rate is None else rate for name, rate in rates.items()}


def _rate(told: Sequence[tuple[datetime, int]]) -> float | None:
    (first, before), (last, now) = told[0], told[-1]
    seconds = (last - first).total_seconds()
    return (now - before) / seconds if seconds >= SHORTEST_S else None
