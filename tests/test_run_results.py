"""The figures of a run: which scores stand in them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fumikura.cli.run_results import figures
from fumikura.core.page import Scores
from fumikura.core.store.connecting import Engine
from fumikura.core.store.queries import run_summary
from tests.simple_store import make_pages, start_run

MASK = ["dice", "iou", "accuracy", "precision", "recall", "f1"]
NINE = [*MASK, "detection_f1", "character_f1", "character_accuracy"]
BOXES = Scores(
    pixel_tp=4, pixel_fp=1, pixel_fn=1, pixel_tn=4,
    n_truth=2, n_found=2, n_matched=2, n_right=1, n_right_as_written=1,
)  # fmt: skip
TEXT = replace(BOXES, n_text_truth=2, n_text_found=2, n_text_common=1, text_distance=1)
LINES = replace(BOXES, n_lines=1, n_lines_found=1, n_in_lines=2, n_reported=2)


@pytest.mark.parametrize(
    ("scores", "more"),
    [
        ([BOXES], []),
        ([BOXES, TEXT], ["text_error_rate", "text_f1"]),
        ([BOXES, LINES], ["line_recall", "line_precision"]),
    ],
    ids=["boxes", "text too", "lines too"],
)
def test_what_texts_and_lines_tell_stands_only_where_they_are_known(
    engine: Engine, scores: list[Scores], more: list[str]
) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    by_book = [("book", one) for one in scores]

    found = figures(run_summary(engine, run_id), by_book, seconds=1.0, steady_rate=None)

    assert list(found["scores"]) == [*NINE, *more]
    assert None not in found["scores"].values()
