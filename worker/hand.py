"""A worker's hand holds the pages that it has claimed, and takes more while they are read."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from fumikura.core.settings import Settings
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.worker.identity import host_name
from fumikura.worker.missing import Missing
from fumikura.worker.outages import retry_until_stopped
from fumikura.worker.reports import Reports

log = logging.getLogger(__name__)

#: Seconds that a claim is to last: a worker that reads faster takes more at once, up to so many times
#: `chunk_size`. What it holds at the end of a run, no other one can read, so that it should not last longer.
CLAIM_LASTS_S, MOST_CHUNKS = 0.5, 8


class Hand:
    """These are the pages that one worker has claimed, and neither saved nor given back.

    Args:
        worker: the name under which pages are leased.
        stop: set from outside when the worker is to end.
        reports: who is told that the worker pauses.
    """

    def __init__(
        self,
        engine: Engine,
        recipe_digest: str,
        worker: str,
        *,
        settings: Settings,
        stop: threading.Event,
        reports: Reports,
    ) -> None:
        self._engine = engine
        self._recipe_digest = recipe_digest
        self._worker = worker
        #: Counts the pages that are not found here, and tells when to pause.
        self.missing = Missing(
            engine, recipe_digest, worker, host=host_name(settings), stop=stop, reports=reports
        )
        self._settings = settings
        self._stop = stop
        self._lock = threading.Lock()  # claims are taken, written and renewed by different threads
        self._claims: dict[int, Claim] = {}
        self._claimer = ThreadPoolExecutor(1, "claim")
        self._run_id: int | None = None
        self._after = 0
        self._n_wanted, self._n_got, self._claimed_s = settings.chunk_size, 0, 0.0
        #: Pages taken since the beginning.
        self.n_taken = 0

    @property
    def reading_ids(self) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._claims)

    @property
    def is_shared(self) -> bool:
        """Tell whether what comes back may go to other hosts: pages of one run alone are for this one."""
        return self._run_id is None

    def begin(self, run_id: int | None) -> None:
        """Take pages from the beginning of the queue, only of one run if it is given."""
        self._run_id, self._after, self.n_taken = run_id, 0, 0
        self._n_wanted, self._n_got = self._settings.chunk_size, 0

    def take(self) -> list[Claim]:
        """Claim the next pages, through all outages; none if none wait, or none that may come to these.

        Raises:
            Stopped: the database is away, or the worker pauses, and is to end.
        """
        if self.is_shared:
            self.missing.pause_if_due()
        claims = self._claim()
        if not claims and self._after and not self.reading_ids:
            # What was given back meanwhile stands before the place that we have come to. To begin there each
            # time would be to walk again and again over what is gone from the queue.
            self._after = 0
            claims = self._claim()
        if not claims and self.is_shared and not self.reading_ids and self.missing.try_again():
            claims = self._claim()
        return claims

    def take_ahead(self) -> Future[list[Claim]] | None:
        """Begin to `take` more; None while a page is in hand that is to have little company."""
        with self._lock:
            if any(claimed.chunk_limit is not None for claimed in self._claims.values()):
                return None
        return self._claimer.submit(self.take)

    def let_go(self, claimed: Claim) -> None:
        """Note that a page is saved, given back, or another worker's by now."""
        with self._lock:
            self._claims.pop(claimed.reading_id, None)

    def let_all_go(self) -> None:
        with self._lock:
            self._claims.clear()

    def _claim(self) -> list[Claim]:
        self._n_wanted, self._claimed_s = self._next_wanted(), time.monotonic()
        claims = retry_until_stopped(
            lambda: claim(
                self._engine,
                recipe_digest=self._recipe_digest,
                worker=self._worker,
                lease_s=self._settings.lease_s,
                n_pages=self._n_wanted,
                held=self.reading_ids,
                after=self._after,
                run_id=self._run_id,
                host=self.missing.host if self.is_shared else None,
            ),
            self._stop,
        )
        self._n_got = len(claims)
        if claims:
            with self._lock:
                self._claims |= {claimed.reading_id: claimed for claimed in claims}
            self._after = max(self._after, claims[-1].reading_id)
            self.n_taken += len(claims)
            log.debug("%d pages in hand", len(self.reading_ids), extra={"run": claims[0].run_id})
        return claims

    def _next_wanted(self) -> int:
        """Choose how many pages to claim, by how long those lasted that were claimed last."""
        lasted_s = time.monotonic() - self._claimed_s
        if lasted_s < CLAIM_LASTS_S and self._n_got == self._n_wanted:
            return min(2 * self._n_wanted, MOST_CHUNKS * self._settings.chunk_size)
        if lasted_s > 2 * CLAIM_LASTS_S:
            return max(self._n_wanted // 2, self._settings.chunk_size)
        return self._n_wanted
