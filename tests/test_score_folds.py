"""The figures of docs/accuracy.md are made of what `evaluate pages --json` prints."""

from __future__ import annotations

from typing import Any

from benchmarks.score_folds import scores_of


def test_a_fold_is_scored_by_the_truth_that_it_has() -> None:
    rows: list[dict[str, Any]] = [
        {"scope": "page", "book": "200010454", "text_f1": None},
        {"scope": "page", "book": "200021763", "text_f1": 0.5},
        {"scope": "page", "book": "200021763", "text_f1": 0.7},
        {"scope": "page", "book": "100249376", "text_f1": 0.6},
        {"scope": "book", "book": "200010454", "dice": 0.9, "detection_f1": 0.96, "character_accuracy": 0.7},
        {"scope": "book", "book": "200021763", "detection_recall": 0.91, "character_accuracy": 0.8},
    ]

    assert scores_of("200010454", rows) == {
        "fold": "200010454",
        "dice": 0.9,
        "detection_f1": 0.96,
        "character_accuracy": 0.7,
        "kana_found": 0.91,
        "kana_right": 0.8,
        "text_f1_median": 0.6,
        "order": None,
    }


def test_what_a_fold_has_no_truth_for_is_null() -> None:
    found = scores_of("200022050", [{"scope": "book", "book": "200022050", "detection_recall": 0.9}])

    assert found == {
        "fold": "200022050",
        "dice": None,
        "detection_f1": None,
        "character_accuracy": None,
        "kana_found": 0.9,
        "kana_right": None,
        "text_f1_median": None,
        "order": None,
    }
