"""This module takes a request to read archives, and makes rows in the store of it.

Needs neither torch nor a queue: the rows say what is to be read, and whoever
has the weights reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from threading import Event

from fumikura.core.archives.known import Lookup
from fumikura.core.archives.listing import LeftOut, stream_pages
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.page import PageReference, Truth
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.scoring.truth import load_truths, match_pages
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import get_page
from fumikura.core.store.pages import Added, add_pages, add_run, finish_listing
from fumikura.core.store.scores import save_scores, unscored

#: A batch of pages is added when it is so large, or so old: then workers can begin with it.
_PAGES_A_BATCH = 1000
_SECONDS_A_BATCH = 2.0
#: Of the files that are no pages, so many of each kind are named.
_NAMES_A_KIND = 3


@dataclass(frozen=True, slots=True)
class Ignored:
    """This counts files that are no pages, by kind and remedy, and names the first of each."""

    kinds: Mapping[tuple[str, str], tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def n_files(self) -> int:
        return sum(n_files for n_files, _ in self.kinds.values())

    def and_more(self, files: Iterable[LeftOut]) -> Ignored:
        kinds = dict(self.kinds)
        for file in files:
            n_files, names = kinds.get((file.kind, file.remedy), (0, ()))
            names = (*names, file.member or file.archive)[:_NAMES_A_KIND]
            kinds[file.kind, file.remedy] = n_files + 1, names
        return Ignored(kinds)


@dataclass(frozen=True, slots=True)
class Submitted:
    """This is a run that stands in the store.

    Attributes:
        ignored: files of the archives that are no pages, kind by kind.
        n_with_truth: distinct pages for which truth was given.
        n_bytes: of the files of all its pages.
        is_listed: whether all its pages stand there.
    """

    run_id: int
    added: Added
    ignored: Ignored
    n_with_truth: int
    n_bytes: int = 0
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey finds what is in some archives; nothing of it stands in the store yet.

    Attributes:
        files: the pages, as they are found, and what is no page in between; to be gone through once.
        truths: by page digest.
    """

    files: Iterator[PageReference | LeftOut]
    truths: Mapping[str, Truth]


def survey(
    archives: Sequence[str],
    *,
    book: str | None = None,
    truth: Sequence[Path] = (),
    partial_truth: Sequence[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    known: Lookup | None = None,
) -> Survey:
    """Begin to list and hash the pages of some archives, and match them with their truth.

    It returns with the first page. With truth, all pages are listed first: should one truth fit several,
    nothing is to be queued.

    Args:
        known: tells the digests of files that were hashed before; None hashes all.

    Raises:
        ArchiveError: an archive is missing, or none holds a page.
        TruthError: a truth file cannot be understood, or one truth fits several pages.
    """
    named = load_truths(truth, partial_truth)  # first: a mistake in it shows before hashing
    files = stream_pages(archives, book=book, limits=limits, known=known)
    if not named:
        begun: list[PageReference | LeftOut] = []
        for file in files:
            begun.append(file)
            if isinstance(file, PageReference):
                break
        return Survey(chain(begun, files), {})
    listed = list(files)
    return Survey(
        iter(listed), match_pages([page for page in listed if isinstance(page, PageReference)], named)
    )


def submit(
    engine: Engine,
    found: Survey,
    *,
    recipe: Recipe,
    command: str,
    on_batch: Callable[[Submitted], None] | None = None,
    stop: Event | None = None,
) -> Submitted:
    """Ask for a reading of each page; readings that are done already are scored with the truth given now.

    Pages are added in batches while the listing goes on, and stay where that is cut off. The same request
    again goes on there: what was hashed is known by then.

    Args:
        command: what `fumikura status` shows for this run.
        on_batch: told of the run when it begins and after each batch.
        stop: ends this after the batch in hand; then not all pages were added.
    """
    run_id = add_run(engine, recipe, command=command)
    submitted = Submitted(run_id, Added(0, 0, 0, 0), Ignored(), len(found.truths))
    for batch in _batches(found.files):
        pages = [page for page in batch if isinstance(page, PageReference)]
        added = add_pages(engine, run_id, pages, truths=found.truths)
        submitted = replace(
            submitted,
            added=submitted.added.and_more(added),
            ignored=submitted.ignored.and_more(file for file in batch if isinstance(file, LeftOut)),
            n_bytes=submitted.n_bytes + sum(page.size_bytes for page in pages),
        )
        if on_batch is not None:
            on_batch(submitted)
        if stop is not None and stop.is_set():
            return submitted
    finish_listing(engine, run_id)
    score_readings(engine, run_id)
    return replace(submitted, is_listed=True)


def _batches(files: Iterator[PageReference | LeftOut]) -> Iterator[list[PageReference | LeftOut]]:
    batch: list[PageReference | LeftOut] = []
    due_s = time.monotonic() + _SECONDS_A_BATCH
    for file in files:
        batch.append(file)
        if len(batch) >= _PAGES_A_BATCH or time.monotonic() >= due_s:
            yield batch
            batch, due_s = [], time.monotonic() + _SECONDS_A_BATCH
    if batch:
        yield batch


def score_readings(engine: Engine, run_id: int) -> int:
    """Score the done readings of a run whose page has truth that they were not compared with."""
    page_ids = unscored(engine, run_id)
    if page_ids:
        # Loads numpy, which a run without truth does not need.
        from fumikura.core.scoring.metrics import score

        for page_id in page_ids:
            page = get_page(engine, page_id, run_id=run_id)
            if page.truth and page.reading_id and (reading := page.reading_as_read):
                save_scores(engine, page.reading_id, score(reading, page.truth), truth=page.truth)
    return len(page_ids)
