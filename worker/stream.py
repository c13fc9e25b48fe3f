"""A worker takes a chunk of pages through four steps: claim, decode ahead, read in groups, write behind.

While the device reads one group of pages, the next is decoded and the last is written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from fumikura.core.errors import PageError, first_line
from fumikura.core.page import Reading, ReadsPages
from fumikura.core.recognition.out_of_memory import OUT_OF_MEMORY, is_out_of_memory
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.scoring.metrics import score
from fumikura.core.settings import Settings
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, return_leases, return_page
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.worker.decoding import DecodedPage, ahead, decode_page
from fumikura.worker.emergency_exit import end_if_device_broke, time_limit
from fumikura.worker.outages import OUTAGES, Stopped, retry_until_stopped
from fumikura.worker.reports import Reports

log = logging.getLogger(__name__)

T = TypeVar("T")


class RecipeReader(ReadsPages, Protocol):
    """A worker's reader tells its recipe, as `PageReader` does (`recognition/reader.py`)."""

    @property
    def recipe(self) -> Recipe: ...


class Stream:
    """A stream reads chunks for one worker process.

    Args:
        worker: the name under which pages are leased.
        stop: set from outside when the worker is to end; looked at between groups.
        reports: who is told of pages and batches.
    """

    def __init__(
        self,
        engine: Engine,
        reader: RecipeReader,
        *,
        settings: Settings,
        worker: str,
        stop: threading.Event,
        reports: Reports | None = None,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._settings = settings
        self.worker = worker
        self._stop = stop
        self._reports = reports or Reports()
        #: Readings of the chunk that is being read, those included that it did not get.
        self.in_hand: Sequence[int] = ()
        self._idle_since_s: float | None = time.monotonic()
        # Pillow lets go of the interpreter's lock, so that threads are enough; more of them than
        # the worker has cores would only take time from what the device is waiting for.
        self._decoders = ThreadPoolExecutor(max(1, min(4, settings.threads)), "decode")
        self._writer = ThreadPoolExecutor(1, "write")

    @property
    def idle_s(self) -> float:
        """Return the seconds since the last chunk ended; 0 while one is being read."""
        since_s = self._idle_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def read(self, reading_ids: Sequence[int]) -> None:
        """Read those of a chunk that are still to be read; each becomes a row, done or failed.

        Raises:
            Stopped: the worker is to end; what it has not read stands in the queue again.
        """
        self._check_stop()
        started_s, self._idle_since_s = time.monotonic(), None
        self.in_hand = tuple(reading_ids)  # before the claim, whose answer may be lost
        try:
            claims = self._retry(lambda: self._claim(reading_ids))
            self._read_claimed(claims)
            seconds = time.monotonic() - started_s
            log.info(
                "chunk of %d: %d pages in %.2f s",
                len(reading_ids),
                len(claims),
                seconds,
                extra={"run": claims[0].run_id if claims else None},
            )
        finally:
            self.in_hand = ()
            self._idle_since_s = time.monotonic()

    def _read_claimed(self, claims: Sequence[Claim]) -> None:
        writes: deque[Future[None]] = deque()
        try:
            pages = self._decoded_ahead(claims)
            while group := list(islice(pages, self._settings.pages_per_batch)):
                self._reports.batch(len(group), self._settings.pages_per_batch)
                for claimed, reading in self._read_group(group):
                    writes.append(self._submit_write(claimed, reading))
                # A database slower than the device must not fill the memory with readings.
                self._finish(writes, n_left=2 * self._settings.pages_per_batch)
                self._check_stop()
        except Stopped:
            self._finish(writes)
            self._retry(lambda: hand_back(self._engine, self.worker))
            raise
        self._finish(writes)

    def give_up(self) -> None:
        """Treat the chunk in hand as that of a lost worker: it comes back in halves."""
        self._retry(
            lambda: return_leases(self._engine, self.worker, max_attempts=self._settings.max_attempts)
        )

    def _claim(self, reading_ids: Sequence[int]) -> list[Claim]:
        return claim(
            self._engine,
            reading_ids,
            recipe_digest=self._reader.recipe.digest,
            worker=self.worker,
            lease_s=self._settings.lease_s,
        )

    def _decoded_ahead(self, claims: Sequence[Claim]) -> Iterator[DecodedPage]:
        """Yield the pages in order, but for those that cannot be decoded: they are failed rows already."""
        work = partial(
            decode_page,
            long_side=self._reader.long_side,
            max_pixels=self._settings.max_pixels,
            limits=self._settings.limits,
        )
        n_ahead = 2 * self._settings.pages_per_batch
        for claimed, decoding in ahead(claims, work, threads=self._decoders, n_ahead=n_ahead):
            with time_limit(self._settings.page_time_limit_s):
                wait([decoding])
            page = self._or_failed(claimed, decoding.result)
            if page is not None:
                yield page

    def _read_group(self, group: Sequence[DecodedPage]) -> list[tuple[Claim, Reading]]:
        """Read a group of pages; where that fails, read them one by one."""
        if len(group) == 1:
            readings = self._or_failed(group[0].claim, lambda: self._read_pages(group))
            return readings or []
        try:
            return self._read_pages(group)
        except Exception as error:
            end_if_device_broke(error)
            log.warning("%d pages cannot be read together, so one by one: %r", len(group), error)
            return [reading for page in group for reading in self._read_group([page])]

    def _read_pages(self, group: Sequence[DecodedPage]) -> list[tuple[Claim, Reading]]:
        with time_limit(self._settings.page_time_limit_s * len(group)):
            readings = self._reader.read([page.image for page in group])
        return [
            (page.claim, replace(reading, timings_s={"decode": page.decode_s, **reading.timings_s}))
            for page, reading in zip(group, readings, strict=True)
        ]

    def _submit_write(self, claimed: Claim, reading: Reading) -> Future[None]:
        return self._writer.submit(self._or_failed, claimed, lambda: self._write(claimed, reading))

    def _write(self, claimed: Claim, reading: Reading) -> None:
        scores = None if claimed.truth is None else score(reading, claimed.truth)
        started_s = time.perf_counter()
        was_ours = self._retry(
            lambda: save_reading(
                self._engine,
                claimed.reading_id,
                reading,
                worker=self.worker,
                scores=scores,
                truth=claimed.truth,
            )
        )
        if was_ours:
            self._reports.page("done", {**reading.timings_s, "write": time.perf_counter() - started_s})
        else:
            log.info("page %d: another worker has it by now", claimed.page_id, extra=_facts(claimed))
        log.debug("page %d: %d characters", claimed.page_id, len(reading.characters), extra=_facts(claimed))

    def _or_failed(self, claimed: Claim, work: Callable[[], T]) -> T | None:
        """Return what the work on one page returns; None if it fails, and the page is then a failed row."""
        try:
            return work()
        except (Stopped, *OUTAGES):
            raise  # the page is not to blame
        except Exception as error:
            end_if_device_broke(error)
            if is_out_of_memory(error):
                self._come_back_alone(claimed)
                return None
            is_expected = isinstance(error, PageError)
            log.warning(
                "page %d: %s",
                claimed.page_id,
                error,
                exc_info=None if is_expected else error,
                extra=_facts(claimed),
            )
            reason = _reason(error)
            was_ours = self._retry(
                lambda: save_failure(self._engine, claimed.reading_id, reason, worker=self.worker)
            )
            if was_ours:
                self._reports.page("failed")
            return None

    def _come_back_alone(self, claimed: Claim) -> None:
        """Let a page that needs more memory than there is now have it all; should that fail, it counts."""
        log.warning("page %d: out of memory; it comes again alone", claimed.page_id)
        self._retry(
            lambda: return_page(
                self._engine,
                claimed.reading_id,
                worker=self.worker,
                max_attempts=self._settings.max_attempts,
                reason=OUT_OF_MEMORY,
            )
        )

    def _finish(self, writes: deque[Future[None]], *, n_left: int = 0) -> None:
        while len(writes) > n_left:
            writes.popleft().result()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _retry(self, action: Callable[[], T]) -> T:
        return retry_until_stopped(action, self._stop)


def _facts(claimed: Claim) -> dict[str, int | None]:
    """Return what a log line about a page carries."""
    return {"run": claimed.run_id, "page": claimed.page_id}


def _reason(error: Exception) -> str:
    """Say why a page failed, for whoever asks `fumikura failed`."""
    if isinstance(error, PageError):
        return str(error)
    return f"the program failed on this page, please report it: {type(error).__name__}: {first_line(error)}"
