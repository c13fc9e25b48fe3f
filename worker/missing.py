"""A worker that does not find its pages gives them to others, and takes none itself for a while.

Whose fault it is shows in what other hosts make of the same pages. A page that others missed too says nothing
against this host, and one that all missed speaks for it.
"""

from __future__ import annotations

import logging
import threading
import time

from fumikura.core.errors import PageError
from fumikura.core.pauses import pause_s
from fumikura.core.store.claiming import Claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.missing import Miss, forgive, note_miss
from fumikura.worker.outages import Stopped, retry_until_stopped
from fumikura.worker.reports import Reports

log = logging.getLogger(__name__)

#: So many pages in a row are no accident.
MOST_IN_A_ROW = 5
#: Seconds until a worker with nothing else to read tries again what it missed.
FORGIVE_S = 30.0


class Missing:
    """This counts the pages that a worker misses, and lets it pause.

    Args:
        worker: the name under which pages are leased.
        stop: set from outside when the worker is to end.
    """

    def __init__(
        self,
        engine: Engine,
        recipe_digest: str,
        worker: str,
        *,
        host: str,
        stop: threading.Event,
        reports: Reports,
    ) -> None:
        self._engine = engine
        self._recipe_digest = recipe_digest
        self._worker = worker
        self.host = host
        self._stop = stop
        self._reports = reports
        self._in_a_row = 0
        self._n_pauses = 0
        self._reason = ""
        self._forgiven_s = time.monotonic()

    def note_found(self) -> None:
        """Note that a page was there."""
        self._in_a_row = self._n_pauses = 0
        if self._reports.paused is not None:
            log.warning("pages are found again on %s", self.host)
            self._reports.pause(None)

    def note(self, claimed: Claim, error: PageError) -> Miss:
        """Give a page to other hosts, or let it fail if they missed it too."""
        miss = retry_until_stopped(
            lambda: note_miss(
                self._engine,
                claimed.reading_id,
                str(error),
                worker=self._worker,
                host=self.host,
                recipe_digest=self._recipe_digest,
            ),
            self._stop,
        )
        self._reason = str(error)
        if miss is Miss.FAILED:
            self._n_pauses = self._in_a_row = 0
        elif miss in (Miss.FIRST, Miss.ALONE):
            self._in_a_row += 1
        return miss

    def pause_if_due(self) -> None:
        """Wait, in pauses that grow, after several pages in a row were missed that others may find.

        Raises:
            Stopped: the worker is to end.
        """
        # Once it has paused, the next page that is missed is enough.
        if self._in_a_row < (1 if self._n_pauses else MOST_IN_A_ROW):
            return
        self._n_pauses += 1
        seconds = pause_s(self._n_pauses)
        shown = f"{self._in_a_row} pages in a row are not found on {self.host}: {self._reason}"
        log.warning("%s; trying again in %.1f s", shown, seconds)
        self._reports.pause(shown)
        self._in_a_row = 0
        if self._stop.wait(seconds):
            raise Stopped

    def try_again(self) -> bool:
        """Let this host try again what it missed, if it is time; tell whether there is anything.

        To be called when nothing else waits: those that could find the page may be gone by now.
        """
        if time.monotonic() - self._forgiven_s < FORGIVE_S:
            return False
        self._forgiven_s = time.monotonic()
        return retry_until_stopped(self._forgive, self._stop) > 0

    def _forgive(self) -> int:
        return forgive(self._engine, recipe_digest=self._recipe_digest, host=self.host)
