"""This module takes a request to read archives, and makes rows in the store of it.

Needs neither torch nor a queue: the rows say what is to be read, and whoever
has the weights reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fumikura.core.archives.listing import LeftOut, Listing, list_pages
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.page import Truth
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.scoring.truth import load_truths, match_pages
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import get_page
from fumikura.core.store.pages import Added, add_pages, add_run, finish_listing
from fumikura.core.store.scores import save_scores, unscored


@dataclass(frozen=True, slots=True)
class Submitted:
    """This is a run that stands in the store.

    Attributes:
        left_out: files of the archives that are no pages.
        n_with_truth: distinct pages for which truth was given.
    """

    run_id: int
    added: Added
    left_out: tuple[LeftOut, ...]
    n_with_truth: int


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey tells what is in some archives; nothing of it stands in the store yet.

    Attributes:
        truths: by page digest.
    """

    listing: Listing
    truths: Mapping[str, Truth]


def survey(
    archives: Sequence[str],
    *,
    book: str | None = None,
    truth: Sequence[Path] = (),
    partial_truth: Sequence[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """List and hash the pages of some archives, and match them with their truth.

    Args:
        progress: called with the number of pages hashed so far.

    Raises:
        ArchiveError: an archive is missing, or none holds a page.
        TruthError: a truth file cannot be understood, or one truth fits several pages.
    """
    named = load_truths(truth, partial_truth)  # first: a mistake in it shows before hashing
    listing = list_pages(archives, book=book, limits=limits, progress=progress)
    return Survey(listing, match_pages(listing.pages, named))


def submit(engine: Engine, found: Survey, *, recipe: Recipe, command: str) -> Submitted:
    """Ask for a reading of each page; readings that are done already are scored with the truth given now.

    Args:
        command: what `fumikura status` shows for this run.
    """
    run_id = add_run(engine, recipe, command=command)
    added = add_pages(engine, run_id, found.listing.pages, truths=found.truths)
    finish_listing(engine, run_id)
    score_readings(engine, run_id)
    return Submitted(run_id, added, found.listing.left_out, len(found.truths))


def score_readings(engine: Engine, run_id: int) -> int:
    """Score the done readings of a run whose page has truth that they were not compared with."""
    page_ids = unscored(engine, run_id)
    if page_ids:
        # Loads numpy, which a run without truth does not need.
        from fumikura.core.scoring.metrics import score

        for page_id in page_ids:
            page = get_page(engine, page_id, run_id=run_id)
            if page.truth and page.reading_id and (reading := page.reading):
                save_scores(engine, page.reading_id, score(reading, page.truth), truth=page.truth)
    return len(page_ids)
