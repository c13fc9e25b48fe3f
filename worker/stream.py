"""A worker takes pages through four steps: claim, decode ahead, read in groups, write behind.

While the device reads one group of pages, the next is decoded, more are claimed and the last is written:
one stream, in which the device does not see where a claim ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from fumikura.core.errors import PageError, first_line
from fumikura.core.page import Reading, ReadsPages
from fumikura.core.recognition.out_of_memory import OUT_OF_MEMORY, is_out_of_memory
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.claiming import Claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, return_leases, return_page
from fumikura.core.store.missing import Miss
from fumikura.core.store.saving import save_failure, save_readings
from fumikura.worker.decoding import DecodedPage, ahead, decode_page
from fumikura.worker.emergency_exit import end_if_device_broke, time_limit
from fumikura.worker.hand import Hand
from fumikura.worker.outages import OUTAGES, Stopped, retry_until_stopped
from fumikura.worker.reports import IDLE, READING, Reports
from fumikura.worker.spare_memory import SpareMemory
from fumikura.worker.writing import MOST_TOGETHER, ReadPage, Writer, judge

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds after which a worker lets its message go and waits for the next, though pages wait: brokers take
#: messages back that are in hand for half an hour or an hour.
TURN_S = 600.0


class RecipeReader(ReadsPages, Protocol):
    """A worker's reader tells its recipe, as `PageReader` does (`recognition/reader.py`)."""

    @property
    def recipe(self) -> Recipe: ...


class Stream:
    """A stream reads pages for one worker process.

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
        self.hand = Hand(
            engine, reader.recipe.digest, worker, settings=settings, stop=stop, reports=self._reports
        )
        self._idle_since_s: float | None = time.monotonic()
        # Pillow lets go of the interpreter's lock, so that threads are enough; more of them than
        # the worker has cores would only take time from what the device is waiting for.
        self._decoders = ThreadPoolExecutor(max(1, min(4, settings.threads)), "decode")
        self._writer = ThreadPoolExecutor(1, "write")
        self._spare_memory = SpareMemory()

    @property
    def recipe_digest(self) -> str:
        return self._reader.recipe.digest

    @property
    def idle_s(self) -> float:
        """Return the seconds since the last turn ended; 0 while there is one."""
        since_s = self._idle_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def in_hand(self) -> tuple[int, ...]:
        """List the readings that are claimed, and neither saved nor given back."""
        return self.hand.reading_ids

    def read_waiting(self, run_id: int | None = None) -> int:
        """Read what waits for the recipe until nothing does, or for TURN_S; return how many pages were taken.

        Each becomes a row, done or failed.

        Args:
            run_id: only pages of this run; None means all.

        Raises:
            Stopped: the worker is to end; what it has not read stands in the queue again.
        """
        self._check_stop()
        started_s, self._idle_since_s = time.monotonic(), None
        self.hand.begin(run_id)
        try:
            while time.monotonic() < started_s + TURN_S and (claims := self.hand.take()):
                self._reports.state(READING)
                self._read_on(claims, ends_s=started_s + TURN_S)
                self._check_stop()
        finally:
            self.hand.let_all_go()
            self._idle_since_s = time.monotonic()
            if self.hand.n_taken:
                self._reports.state(IDLE)
                log.info("%d pages in %.2f s", self.hand.n_taken, self._idle_since_s - started_s)
        return self.hand.n_taken

    def _read_on(self, claims: Sequence[Claim], *, ends_s: float) -> None:
        """Read claimed pages, and those that are claimed meanwhile, until a claim is empty or it is time."""
        writer = Writer(self._save, thread=self._writer)
        try:
            with closing(self._decoded_ahead(claims, ends_s=ends_s)) as pages:
                while group := list(islice(pages, self._settings.pages_per_batch)):
                    self._reports.batch(len(group), self._settings.pages_per_batch)
                    for page, reading in self._read_group(group):
                        writer.put(ReadPage(page, reading))
                    # A database slower than the device must not fill the memory with readings.
                    writer.finish(n_left=max(MOST_TOGETHER, 2 * self._settings.pages_per_batch))
                    self._spare_memory.give_back()
                    self._check_stop()
        except Stopped:
            writer.finish()
            self._retry(lambda: hand_back(self._engine, self.worker))
            raise
        writer.finish()

    def give_up(self) -> None:
        """Treat the pages in hand as those of a lost worker: they come back in halves."""
        self._retry(
            lambda: return_leases(self._engine, self.worker, max_attempts=self._settings.max_attempts)
        )

    def _decoded_ahead(self, claims: Sequence[Claim], *, ends_s: float) -> Generator[DecodedPage]:
        """Yield the pages in order, but for those that cannot be decoded: they are failed rows already."""
        work = partial(
            decode_page,
            long_side=self._reader.long_side,
            max_pixels=self._settings.max_pixels,
            limits=self._settings.limits,
        )

        def claim_more() -> Future[list[Claim]] | None:
            return self.hand.take_ahead() if time.monotonic() < ends_s else None

        n_ahead = 2 * self._settings.pages_per_batch
        with closing(ahead(claims, claim_more, work, threads=self._decoders, n_ahead=n_ahead)) as pages:
            for claimed, decoding in pages:
                if not decoding.done():  # a clock costs as much as to decode a small page
                    with time_limit(self._settings.page_time_limit_s):
                        wait([decoding])
                page = self._or_failed(claimed, decoding.result)
                if page is not None:
                    self.hand.missing.note_found()
                    yield page

    def _read_group(self, group: Sequence[DecodedPage]) -> list[tuple[DecodedPage, Reading]]:
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

    def _read_pages(self, group: Sequence[DecodedPage]) -> list[tuple[DecodedPage, Reading]]:
        with time_limit(self._settings.page_time_limit_s * len(group)):
            readings = self._reader.read([page.image for page in group])
        return [
            (page, replace(reading, timings_s={"decode": page.decode_s, **reading.timings_s}))
            for page, reading in zip(group, readings, strict=True)
        ]

    def _save(self, pages: Sequence[ReadPage]) -> None:
        """Save pages that were read; where they cannot be saved together, save them one by one."""
        if len(pages) == 1:
            self._or_failed(pages[0].page.claim, lambda: self._save_together(pages))
            return
        try:
            self._save_together(pages)
        except (Stopped, *OUTAGES):
            raise
        except Exception as error:
            log.warning("%d pages cannot be saved together, so one by one: %r", len(pages), error)
            for page in pages:
                self._save([page])

    def _save_together(self, pages: Sequence[ReadPage]) -> None:
        results = [judge(page) for page in pages]
        started_s = time.perf_counter()
        saved = self._retry(lambda: save_readings(self._engine, results, worker=self.worker))
        seconds = (time.perf_counter() - started_s) / len(pages)
        for page, result in zip(pages, results, strict=True):
            self._note_saved(page, was_ours=result.reading_id in saved, seconds=seconds)

    def _note_saved(self, read: ReadPage, *, was_ours: bool, seconds: float) -> None:
        claimed = read.page.claim
        self.hand.let_go(claimed)
        if was_ours:
            self._reports.page("done", {**read.reading.timings_s, "write": seconds})
        else:
            log.info("page %d: another worker has it by now", claimed.page_id, extra=_facts(claimed))
        n_characters = len(read.reading.characters)
        log.debug("page %d: %d characters", claimed.page_id, n_characters, extra=_facts(claimed))

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
            if isinstance(error, PageError) and error.is_only_here and self.hand.is_shared:
                self._miss(claimed, error)
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
            self.hand.let_go(claimed)
            if was_ours:
                self._reports.page("failed")
            return None

    def _miss(self, claimed: Claim, error: PageError) -> None:
        """Let another host look for a page that is not found on this one; where there is none, it fails."""
        log.warning("page %d: %s", claimed.page_id, error, extra=_facts(claimed))
        miss = self.hand.missing.note(claimed, error)
        self.hand.let_go(claimed)
        if miss in (Miss.FAILED, Miss.ALONE):
            self._reports.page("failed")

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
        self.hand.let_go(claimed)

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
