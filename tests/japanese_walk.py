"""A walk through the commands, quick: pages are read as `handmade_reading` says, in this process."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fumikura.core.archives.images import decode
from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError
from fumikura.core.page import Suspicion
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.scoring.metrics import score
from fumikura.core.settings import Settings
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.saving import save_failure, save_reading
from tests.handmade import handmade_reading, page_png, write_truth

WORKER = "host/1/1.00"


def write_book(folder: Path) -> None:
    """A zip of two pages, a damaged one and two files that are no pages; with truth of a page."""
    with zipfile.ZipFile(folder / "book.zip", "w") as archive:
        for number in range(2):
            archive.writestr(f"book_{number:05}_1.png", page_png(number))
        archive.writestr("book_00007_1.png", page_png(7)[:200])
        archive.writestr("notes.txt", "x")
        archive.writestr("list.csv", "x")
    write_truth(folder / "truth.csv", 1)


def read_by_hand(
    settings: Settings,  # noqa: ARG001
    engine: Engine,
    run_id: int,
    recipe: Recipe,
    *,
    on_progress: Callable[[RunSummary], None],
    on_stage: Callable[[str], None],  # noqa: ARG001
    stop: threading.Event,  # noqa: ARG001
) -> None:
    """Read all that waits, in the place of `run_locally`."""
    on_progress(run_summary(engine, run_id))
    for claimed in claim(engine, recipe_digest=recipe.digest, worker=WORKER, lease_s=60, n_pages=100):
        try:
            _read(engine, claimed)
        except PageError as error:
            save_failure(engine, claimed.reading_id, str(error), worker=WORKER)
        on_progress(run_summary(engine, run_id))


def _read(engine: Engine, claimed: Claim) -> None:
    decode(read_member(claimed.archive, claimed.member), long_side=None, max_pixels=10**8)
    number = re.search(r"_(\d+)_", claimed.member)
    assert number is not None
    reading = handmade_reading(int(number[1]), "一二三")
    reading = replace(reading, suspicions=(Suspicion.FEW, Suspicion.UNSURE))
    truth = claimed.truth
    scores = None if truth is None else score(reading, truth)
    save_reading(engine, claimed.reading_id, reading, worker=WORKER, scores=scores, truth=truth)
