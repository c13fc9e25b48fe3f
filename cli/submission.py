"""`run` and `enqueue` hand archives in, and say what was found in them."""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fumikura.cli.language import Told, enumerated, sentences, translated
from fumikura.cli.output import counted, say, waiting
from fumikura.core.archives.lists import with_lists
from fumikura.core.errors import FumikuraError
from fumikura.core.intake import Ignored, Submitted, submit, survey
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.existing_database import missing_file
from fumikura.core.store.places import known_places
from fumikura.core.store.upgrading import open_database

#: Of ignored files, so many kinds are named.
_N_KINDS = 8
_SHOWN_EACH_S = 0.2
#: How long the reading waits for the rest of the pages before it begins with those that are there.
_SMALL_S = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """This is what somebody wants to have read.

    Attributes:
        verb: the command that asks.
        rehash: hash files too that look unchanged since they were hashed.
    """

    verb: str
    archives: Sequence[str]
    book: str | None
    truth: Sequence[Path]
    partial_truth: Sequence[Path]
    rehash: bool

    @property
    def is_truth_given(self) -> bool:
        return bool(self.truth or self.partial_truth)


class Submission:
    """This thread adds pages while it looks for more, so that workers begin at once."""

    def __init__(
        self, settings: Settings, request: Request, recipe: Recipe, *, stop: threading.Event
    ) -> None:
        # Opened first, lest an hour of hashing be in vain; but a file is made only for pages.
        engine = None if missing_file(settings) else open_database(settings.database_url)
        known = None if engine is None or request.rehash else partial(known_places, engine)
        found = survey(
            with_lists(request.archives, sys.stdin.buffer),
            book=request.book,
            truth=request.truth,
            partial_truth=request.partial_truth,
            limits=settings.limits,
            known=known,
        )
        self.engine = engine or open_database(settings.database_url)
        self._request = request
        self._stop = stop
        self._latest: Submitted | None = None
        self._error: BaseException | None = None
        self._has_begun = threading.Event()
        add = partial(
            submit,
            self.engine,
            found,
            recipe=recipe,
            command=f"{request.verb} {shlex.join(request.archives)}",
            on_batch=self._note,
            stop=stop,
        )
        # What still hashes a large file when all else ends is not waited for.
        self._thread = threading.Thread(target=self._run, args=(add,), name="submission", daemon=True)
        self._thread.start()

    def _run(self, add: Callable[[], Submitted]) -> None:
        try:
            self._latest = add()
        except BaseException as error:  # raised where it is waited for
            self._error = error
            self._stop.set()
        finally:
            self._has_begun.set()

    def _note(self, submitted: Submitted) -> None:
        self._latest = submitted
        self._has_begun.set()

    @property
    def latest(self) -> Submitted:
        """Give the run as it stands now.

        Raises:
            FumikuraError: adding its pages failed.
        """
        if self._error is not None:
            raise self._error
        assert self._latest is not None
        return self._latest

    def wait(self, *, for_first: bool = False, timeout_s: float | None = None) -> Submitted:
        """Wait until all pages are added, or the first of them; show how far that is."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        with waiting("looking for pages") as status:
            while self._thread.is_alive() and not (for_first and self._has_begun.is_set()):
                if end_s is not None and time.monotonic() > end_s:
                    break
                self._thread.join(_SHOWN_EACH_S)
                if self._latest is not None:
                    so_far = _so_far(self._latest)
                    status.update(translated(f"looking for pages: {so_far}"))
        return self.latest

    def say_how_far(self) -> None:
        """Say what stands of a run whose pages are still being added, or were not all added."""
        if self._latest is not None:
            so_far = _so_far(self._latest)
            run = f"run {self._latest.run_id}: {so_far} so far"
            say(sentences(run, "give the same command again to go on" if self._stop.is_set() else ""))

    def say_findings(self) -> None:
        for line in _findings(self.latest, is_truth_given=self._request.is_truth_given):
            say(line)


def begin(settings: Settings, request: Request, recipe: Recipe, *, stop: threading.Event) -> Submission:
    """Submit the first pages of a request, or all if that takes no longer; say on stderr what was found."""
    with waiting("looking for pages"):
        submission = Submission(settings, request, recipe, stop=stop)
    submission.wait(for_first=True)
    if submission.wait(timeout_s=_SMALL_S).is_listed:
        submission.say_findings()
    else:
        submission.say_how_far()
    return submission


def submit_all(
    settings: Settings, request: Request, recipe: Recipe, *, wake: Callable[[Engine], None]
) -> Submission:
    """Submit all pages of a request, and say on stderr what was found.

    Args:
        wake: called when the first pages are there.
    """
    stop = threading.Event()
    with waiting("looking for pages"):
        submission = Submission(settings, request, recipe, stop=stop)
    try:
        submission.wait(for_first=True)
        wake(submission.engine)
        submission.wait()
    except (KeyboardInterrupt, FumikuraError):
        stop.set()
        submission.say_how_far()
        raise
    submission.say_findings()
    return submission


def _so_far(submitted: Submitted) -> str:
    return f"{counted(submitted.added.n_pages, 'page')}, {submitted.n_bytes / 1e9:,.1f} GB"


def _findings(submitted: Submitted, *, is_truth_given: bool) -> list[str]:
    added = submitted.added
    n_other, left = submitted.ignored.n_files, counted(added.n_quarantined, "page")
    others = f"{counted(n_other, 'other file')} ignored" if n_other else ""
    lines = [sentences(_pages(submitted), others), *_ignored(submitted.ignored)]
    if added.n_quarantined:
        lines.append(f"{left} quarantined and left alone; `fumikura retry` queues such pages again")
    if is_truth_given:
        lines.append(f"truth is known for {submitted.n_with_truth:,} of {counted(added.n_pages, 'page')}")
    if is_truth_given and not submitted.n_with_truth:
        lines.append(
            "no page has a name that the truth names: compare the file names with those in the truth"
        )
    return lines


def _pages(submitted: Submitted) -> str:
    run_id, added = submitted.run_id, submitted.added
    if added.n_done == added.n_pages:
        return f"run {run_id}: {counted(added.n_pages, 'page')}, all read before"
    if added.n_done:
        return f"run {run_id}: {counted(added.n_pages, 'page')}, {added.n_done:,} of them read before"
    return f"run {run_id}: {counted(added.n_pages, 'page')}"


def _ignored(ignored: Ignored) -> list[str]:
    """Name the files that are no pages, kind by kind, first those that could become pages."""
    lines: list[str] = []
    kinds = sorted(ignored.kinds.items(), key=lambda item: (not item[0][1], item[0]))
    for (kind, remedy), (n_files, names) in kinds[:_N_KINDS]:
        n_more = n_files - len(names)
        shown = sentences(enumerated(*map(Told, names)), f"and {n_more:,} more" if n_more else "")
        lines.append(sentences(f"ignored: {n_files:,} × {kind} ({shown})", remedy))
    return lines
