"""Pages, readings and truths that the store's tests put in, small enough to check by eye."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import select

from fumikura.core.page import Box, Character, LabelledBox, PageReference, Reading, Truth
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.scoring.metrics import score
from fumikura.core.store import tables
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import Added, add_pages, add_run, finish_listing
from fumikura.core.store.rows import mask_to_png
from fumikura.core.store.saving import save_failure, save_reading

RECIPE = Recipe(segmenter_digest="5" * 64, classifier_digest="c" * 64)
OTHER_RECIPE = Recipe(segmenter_digest="6" * 64, classifier_digest="c" * 64)
WORKER = "host/1/1.00"


def make_page(number: int, *, book: str = "tale", archive: str = "/scans/tale.zip") -> PageReference:
    """Page `tale_001` for 1; the number alone decides the digest."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return PageReference(archive, f"images/{book}_{number:03}.jpg", digest, size_bytes=1000, book=book)


def make_pages(count: int) -> list[PageReference]:
    return [make_page(number) for number in range(1, count + 1)]


def make_reading(*columns: str, confidence: float = 0.5) -> Reading:
    """A page 300 wide and 200 high with these columns, each character 10 by 10, on a mask of 3 by 2."""
    characters = [
        Character(
            Box(290 - 20 * number, 10 * row, 10, 10),
            label,
            confidence,
            alternatives=(("ぬ", 0.25), ("め", 0.125)),
            column_number=number,
        )
        for number, column in enumerate(columns)
        for row, label in enumerate(column)
    ]
    mask = np.array([[True, False, True], [False, True, False]])
    return Reading(mask, tuple(characters), width=300, height=200, timings_s={"segment": 0.25})


def make_truth(*labels: str) -> Truth:
    boxes = [LabelledBox(Box(290, 10 * row, 10, 10), label) for row, label in enumerate(labels)]
    return Truth(boxes=tuple(boxes))


def start_run(
    engine: Engine, pages: Sequence[PageReference], *, recipe: Recipe = RECIPE
) -> tuple[int, Added]:
    """A new run that asks for some pages."""
    run_id = add_run(engine, recipe, command="fumikura run tale.zip")
    added = add_pages(engine, run_id, pages)
    finish_listing(engine, run_id)
    return run_id, added


def claim_pages(
    engine: Engine,
    n_pages: int,
    *,
    worker: str = WORKER,
    recipe: Recipe = RECIPE,
    lease_s: float = 60,
    after: int = 0,
    **more: Any,
) -> list[Claim]:
    """Claims on the next pages behind a reading, for a worker that holds none."""
    return claim(
        engine,
        recipe_digest=recipe.digest,
        worker=worker,
        lease_s=lease_s,
        n_pages=n_pages,
        after=after,
        **more,
    )


def claim_all(engine: Engine, *, worker: str = WORKER, recipe: Recipe = RECIPE) -> list[Claim]:
    """Claims on all that waits, as one chunk."""
    return claim_pages(engine, 1000, worker=worker, recipe=recipe)


def read_all(engine: Engine, *readings: Reading, recipe: Recipe = RECIPE) -> list[int]:
    """Save one reading for each page that waits, in their order; gives the reading ids."""
    claims = claim_all(engine, recipe=recipe)
    for claimed, reading in zip(claims, readings, strict=True):
        assert save_reading(engine, claimed.reading_id, reading, worker=WORKER)
    return [claimed.reading_id for claimed in claims]


def read_small_book(engine: Engine) -> int:
    """Six pages, of which one was read twice, one is blank and one fails; gives the run that asks for all.

    Their truths: boxes, one with an old kanji (1), some of the boxes (2), a mask (3), none (4, 6), a box (5).
    """
    pages = [make_page(number, book="drawn") for number in range(1, 7)]
    texts = (("なる気", "なるあら", "ずを"), ("なる", "なり"), ("を",), ("あらず",), ())
    partial = replace(make_truth("な", "り"), is_partial=True)
    mask = Truth(mask_png=mask_to_png(np.array([[True, True, False], [False, True, True]])))
    known = {0: make_truth("な", "る", "氣"), 1: partial, 2: mask, 4: make_truth("あ")}
    truths = {pages[number].digest: truth for number, truth in known.items()}
    start_run(engine, pages[:1], recipe=OTHER_RECIPE)
    read_all(engine, make_reading("あらす"), recipe=OTHER_RECIPE)
    run_id = add_run(engine, RECIPE, command="fumikura run drawn")
    add_pages(engine, run_id, pages, truths=truths)
    *claims, last = claim_all(engine)
    for number, (claimed, columns) in enumerate(zip(claims, texts, strict=True)):
        reading, truth = make_reading(*columns, confidence=0.5 + number / 8), claimed.truth
        scores = None if truth is None else score(reading, truth)
        assert save_reading(engine, claimed.reading_id, reading, worker=WORKER, scores=scores, truth=truth)
    assert save_failure(engine, last.reading_id, "drawn_006.jpg is empty", worker=WORKER)
    return run_id


def row_of(engine: Engine, reading_id: int) -> dict[str, object]:
    """The row of a reading, by column."""
    with engine.connect() as connection:
        row = connection.execute(select(tables.reading).where(tables.reading.c.id == reading_id))
        return dict(row.mappings().one())
