"""Scores: counts worked by hand, and matching held against trying all."""

from __future__ import annotations

import io
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.page import Box, Character, LabelledBox, Reading, Scores, Truth
from fumikura.core.scoring.metrics import match, pool, score, truth_mask

BOXES = st.builds(Box, st.integers(0, 6), st.integers(0, 6), st.integers(1, 8), st.integers(1, 8))


def make_reading(
    *characters: tuple[Box, str], mask: NDArray[np.bool_] | None = None, side: int = 100
) -> Reading:
    mask = np.zeros((10, 10), bool) if mask is None else mask
    return Reading(mask, tuple(Character(box, label, 0.9) for box, label in characters), side, side)


def make_truth(*boxes: tuple[Box, str], is_partial: bool = False) -> Truth:
    return Truth(tuple(LabelledBox(box, label) for box, label in boxes), is_partial=is_partial)


def png(mask: NDArray[np.bool_]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG")
    return out.getvalue()


def test_pixels_are_compared_with_the_filled_boxes_at_working_resolution() -> None:
    mask = np.zeros((10, 10), bool)
    mask[0:4, 0:4] = True  # 16 pixels
    truth = make_truth((Box(20, 0, 30, 40), "あ"))  # a tenth: columns 2 to 4, rows 0 to 3: 12 pixels

    scores = score(make_reading(mask=mask), truth)

    assert (scores.pixel_tp, scores.pixel_fp, scores.pixel_fn, scores.pixel_tn) == (8, 8, 4, 80)


def test_overlapping_truth_boxes_count_each_pixel_once() -> None:
    truth = make_truth((Box(0, 0, 40, 40), "あ"), (Box(20, 0, 40, 40), "い"))

    mask = truth_mask(truth, shape=(10, 10), width=100, height=100)

    assert mask is not None
    assert int(mask.sum()) == 6 * 4


def test_a_truth_box_beyond_the_edge_is_cut_and_one_outside_counts_no_pixel() -> None:
    truth = make_truth(
        (Box(-20, -20, 40, 40), "あ"), (Box(90, 90, 50, 50), "い"), (Box(-50, 0, 20, 20), "う")
    )

    mask = truth_mask(truth, shape=(10, 10), width=100, height=100)

    assert mask is not None
    assert int(mask.sum()) == 2 * 2 + 1


def test_a_box_smaller_than_a_working_pixel_still_marks_one() -> None:
    mask = truth_mask(make_truth((Box(51, 51, 3, 3), "一")), shape=(10, 10), width=100, height=100)

    assert mask is not None
    assert np.argwhere(mask).tolist() == [[5, 5]]


def test_a_mask_image_goes_before_boxes_and_is_scaled_to_the_reading() -> None:
    large = np.zeros((20, 20), bool)
    large[0:10, 0:10] = True
    found = np.zeros((10, 10), bool)
    found[0:5, 0:5] = True
    truth = Truth(boxes=(), mask_png=png(large))

    scores = score(make_reading(mask=found), truth)

    assert (scores.pixel_tp, scores.pixel_fp, scores.pixel_fn) == (25, 0, 0)


def test_labels_count_folded_and_as_written() -> None:
    places = [Box(0, 0, 10, 10), Box(0, 20, 10, 10), Box(0, 40, 10, 10)]
    reading = make_reading(*zip(places, "気かさ", strict=True))
    truth = make_truth(*zip(places, "氣かき", strict=True))

    scores = score(reading, truth)

    assert (scores.n_truth, scores.n_found, scores.n_matched) == (3, 3, 3)
    assert (scores.n_right, scores.n_right_as_written) == (2, 1)


def test_two_found_boxes_in_one_truth_box_match_once() -> None:
    reading = make_reading((Box(0, 0, 10, 10), "あ"), (Box(5, 5, 10, 10), "あ"))

    scores = score(reading, make_truth((Box(0, 0, 30, 30), "あ")))

    assert (scores.n_truth, scores.n_found, scores.n_matched) == (1, 2, 1)


def test_partial_truth_counts_no_pixels_and_no_found_boxes() -> None:
    reading = make_reading((Box(0, 0, 10, 10), "あ"), (Box(50, 50, 10, 10), "い"))

    scores = score(reading, make_truth((Box(0, 0, 10, 10), "あ"), is_partial=True))

    assert scores == Scores(n_truth=1, n_matched=1, n_right=1, n_right_as_written=1)


def test_a_mask_alone_supports_no_character_counts() -> None:
    scores = score(make_reading(), Truth(mask_png=png(np.ones((10, 10), bool))))

    assert scores == Scores(pixel_tp=0, pixel_fp=0, pixel_fn=100, pixel_tn=0)


def test_a_blank_page_with_empty_truth_is_all_true_negatives() -> None:
    scores = score(make_reading(), make_truth())

    assert scores == Scores(0, 0, 0, 100, 0, 0, 0, 0, 0)


def test_nested_truth_boxes_go_to_the_nearest_centre() -> None:
    column, dot = Box(0, 0, 20, 100), Box(5, 5, 10, 10)
    found_dot, found_column = Box(6, 6, 8, 8), Box(0, 10, 20, 80)

    assert match([found_dot, found_column], [column, dot]) == [(0, 1), (1, 0)]


def test_a_box_with_a_choice_gives_way_to_one_without() -> None:
    left, right = Box(0, 0, 20, 10), Box(8, 0, 20, 10)
    between, far_left = Box(8, 4, 2, 2), Box(0, 4, 2, 2)  # centres at x = 9 and x = 1

    assert match([between, far_left], [left, right]) == [(0, 1), (1, 0)]


@given(st.lists(BOXES, max_size=3), st.lists(BOXES, max_size=4))
def test_there_are_as_many_pairs_as_there_can_be(found: list[Box], truth: list[Box]) -> None:
    def is_inside(mine: Box, its: Box) -> bool:
        y, x = mine.centre
        return its.x <= x < its.x + its.width and its.y <= y < its.y + its.height

    pairs = match(found, truth)

    spare = [None] * len(found)
    most = max(
        sum(its is not None and is_inside(mine, its) for mine, its in zip(found, order, strict=False))
        for order in permutations([*truth, *spare])
    )
    assert len(pairs) == most
    assert all(is_inside(found[mine], truth[its]) for mine, its in pairs)
    assert len({its for _, its in pairs}) == len({mine for mine, _ in pairs}) == len(pairs)


def test_ratios_come_from_the_counts_of_all_pages_together() -> None:
    first = Scores(6, 2, 2, 90, n_truth=10, n_found=8, n_matched=8, n_right=6, n_right_as_written=4)
    second = Scores(4, 0, 6, 90, n_truth=10, n_found=12, n_matched=8, n_right=4, n_right_as_written=4)

    ratios = pool([first, second])

    assert ratios is not None
    assert {name: value for name, value in ratios.items() if value is not None} == pytest.approx(
        {
            "dice": 20 / 30,
            "iou": 10 / 20,
            "accuracy": 190 / 200,
            "precision": 10 / 12,
            "recall": 10 / 18,
            "f1": 20 / 30,
            "detection_precision": 16 / 20,
            "detection_recall": 16 / 20,
            "detection_f1": 32 / 40,
            "character_f1": 20 / 40,
            "character_accuracy": 10 / 16,
            "character_f1_as_written": 16 / 40,
            "character_accuracy_as_written": 8 / 16,
        }
    )


def test_partial_truth_supports_recall_and_label_accuracy_only() -> None:
    ratios = pool([Scores(n_truth=4, n_matched=3, n_right=2, n_right_as_written=1)])

    assert ratios is not None
    supported = {name: value for name, value in ratios.items() if value is not None}
    assert supported == pytest.approx(
        {"detection_recall": 3 / 4, "character_accuracy": 2 / 3, "character_accuracy_as_written": 1 / 3}
    )


def test_partial_pages_leave_the_f1_of_complete_pages_alone() -> None:
    complete = Scores(0, 0, 0, 1, n_truth=2, n_found=2, n_matched=2, n_right=1, n_right_as_written=1)
    partial = Scores(n_truth=9, n_matched=0, n_right=0, n_right_as_written=0)

    ratios = pool([complete, partial])

    assert ratios is not None
    assert ratios["detection_f1"] == 1
    assert ratios["character_f1"] == 0.5
    assert ratios["detection_recall"] == pytest.approx(2 / 11)


def test_nothing_found_where_something_is_has_no_precision_and_no_recall_of_it() -> None:
    ratios = pool([Scores(0, 0, 50, 50, n_truth=5, n_found=0, n_matched=0, n_right=0, n_right_as_written=0)])

    assert ratios is not None
    assert (ratios["precision"], ratios["recall"], ratios["dice"]) == (None, 0, 0)
    assert (ratios["detection_precision"], ratios["detection_f1"], ratios["character_accuracy"]) == (
        None,
        0,
        None,
    )


def test_no_scores_pool_to_nothing() -> None:
    assert pool([]) is None


def test_a_text_is_compared_folded_and_without_marks() -> None:
    reading = make_reading((Box(0, 0, 10, 10), "気"))

    scores = score(reading, Truth(text="氣、い\n"))

    counts = (scores.n_text_truth, scores.n_text_found, scores.n_text_common, scores.text_distance)
    assert counts == (2, 1, 1, 1)
    assert (scores.n_truth, scores.pixel_tp) == (None, None)
    ratios = pool([scores])
    assert ratios is not None
    assert (ratios["text_error_rate"], ratios["text_f1"]) == pytest.approx((1 / 2, 2 / 3))


def test_a_page_without_text_counts_what_was_read_as_too_much() -> None:
    scores = score(make_reading((Box(0, 0, 10, 10), "い")), Truth(text=""))

    assert (scores.n_text_truth, scores.text_distance) == (0, 1)


def test_partial_truth_tells_nothing_of_the_text() -> None:
    scores = score(make_reading((Box(0, 0, 10, 10), "い")), Truth(text="い", is_partial=True))

    assert scores == Scores()


def test_lines_are_found_by_characters_whose_centre_they_hold() -> None:
    reading = make_reading(*((Box(x, y, 10, 10), "い") for x, y in ((0, 0), (0, 20), (50, 50))))
    lines = tuple(LabelledBox(box, "") for box in (Box(0, 0, 10, 40), Box(80, 0, 10, 40)))

    scores = score(reading, Truth(lines=lines))

    assert (scores.n_lines, scores.n_lines_found, scores.n_in_lines, scores.n_reported) == (2, 1, 2, 3)
    ratios = pool([scores])
    assert ratios is not None
    assert (ratios["line_recall"], ratios["line_precision"]) == pytest.approx((1 / 2, 2 / 3))


def test_partial_lines_tell_what_was_missed_and_not_what_is_too_much() -> None:
    lines = (LabelledBox(Box(0, 0, 10, 40), ""),)

    scores = score(make_reading(), Truth(lines=lines, is_partial=True))

    assert (scores.n_lines, scores.n_lines_found, scores.n_in_lines, scores.n_reported) == (1, 0, None, None)
