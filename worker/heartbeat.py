"""A worker process lets its row in the database say what it does, for `status` and for the others."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fumikura.core.errors import DatabaseError
from fumikura.core.store.connecting import Engine
from fumikura.core.store.workers import BEAT_S, Card, State, note_worker, remove_worker
from fumikura.worker.reports import Reports

if TYPE_CHECKING:
    from fumikura.worker.stream import Stream

#: How soon a change of its state stands in the row.
LOOK_S = 2.0


@dataclass(slots=True)
class Heartbeat:
    """A heartbeat writes a worker's row: when its state changes, and every BEAT_S.

    Attributes:
        stream: what the worker reads with; None while it starts.
    """

    engine: Engine
    card: Card
    reports: Reports
    stream: Stream | None = None
    _written: tuple[State, str | None] | None = field(default=None, init=False)
    _written_s: float = field(default=0.0, init=False)
    _is_over: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def beat(self) -> None:
        """Write the row if it is due; to be called every LOOK_S."""
        now = self._state()
        if now == self._written and time.monotonic() - self._written_s < BEAT_S:
            return
        # What the database does not answer to is said by whoever renews the leases.
        with self._lock, suppress(DatabaseError):
            if not self._is_over:
                note_worker(self.engine, self.card, now[0], reason=now[1], n_done=self.reports.n_done)
                self._written, self._written_s = now, time.monotonic()

    def end(self) -> None:
        """Remove the row, and write none any more."""
        with self._lock, suppress(DatabaseError):
            self._is_over = True
            remove_worker(self.engine, self.card.name)

    def _state(self) -> tuple[State, str | None]:
        if self.reports.paused is not None:
            return State.PAUSED, self.reports.paused
        if self.stream is None:
            return State.STARTING, None
        return (State.IDLE if self.stream.idle_s else State.READING), None


def start_beating(heart: Heartbeat, stop: threading.Event) -> None:
    """Beat in a thread of its own until `stop` is set."""

    def repeat() -> None:
        heart.beat()
        while not stop.wait(LOOK_S):
            heart.beat()

    threading.Thread(target=repeat, name="heartbeat", daemon=True).start()
