"""A request to read archives, from its command line to rows in the store.

Needs neither torch nor a queue: the rows say what is to be read, and whoever
has the weights reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.archive import list_pages
from core.recipe import Recipe
from core.store.pages import Added, add_pages, add_run
from core.store.scores import load_reading, save_scores, unscored
from core.store.session import Engine
from core.truth import load_truths, match_pages


@dataclass(frozen=True, slots=True)
class Submitted:
    """A run that stands in the store.

    Attributes:
        n_ignored: files of the archives that are no page images.
        n_with_truth: distinct pages for which truth was given.
    """

    run_id: int
    added: Added
    n_ignored: int
    n_with_truth: int


def submit(
    engine: Engine,
    archives: Sequence[str],
    *,
    recipe: Recipe,
    command: str,
    book: str | None = None,
    truth: Sequence[Path] = (),
    partial_truth: Sequence[Path] = (),
    progress: Callable[[int], None] | None = None,
) -> Submitted:
    """List and hash the pages of some archives, and ask for a reading of each.

    Readings that are done already are scored with the truth given now.

    Args:
        command: what `fumikura status` shows for this run.
        progress: called with the number of pages hashed so far.

    Raises:
        ArchiveError: an archive is missing, empty or unreadable; nothing was stored.
        TruthError: a truth file cannot be understood, or one truth fits several pages; likewise.
    """
    named = load_truths(truth, partial_truth)  # first: a mistake in it shows before hashing
    listing = list_pages(archives, book=book, progress=progress)
    truths = match_pages(listing.pages, named)

    run_id = add_run(engine, recipe, command=command)
    added = add_pages(engine, run_id, listing.pages, truths=truths)
    score_readings(engine, run_id)
    return Submitted(run_id, added, listing.n_ignored, len(truths))


def score_readings(engine: Engine, run_id: int) -> int:
    """Score the done readings of a run whose page has truth that they were not compared with."""
    reading_ids = unscored(engine, run_id)
    if reading_ids:
        from core.metrics import score  # loads numpy, which a run without truth does not need

        for reading_id in reading_ids:
            reading, truth = load_reading(engine, reading_id)
            if truth is not None:
                save_scores(engine, reading_id, score(reading, truth), truth=truth)
    return len(reading_ids)
