"""Measures: every figure worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, Character, LabelledBox, PageImage, Reading, Scores, Truth
from fumikura.core.scoring.calibration import calibration_error, reliability
from fumikura.core.scoring.evaluation import PageMeasures, figures, measure, page_figures, ratios, worth
from fumikura.core.scoring.metrics import score
from fumikura.core.scoring.seal_areas import seal_area
from fumikura.core.scoring.texts import TextCounts, compare_texts, load_texts

WHITE = PageImage(np.full((100, 100, 3), 255, np.uint8), 100, 100)
RED, BLACK, PAPER, BROWN = (200, 40, 40), (30, 30, 30), (235, 220, 190), (170, 125, 85)


def places(n: int) -> list[Box]:
    """Boxes down a column, apart from each other."""
    return [Box(40, 10 * row, 8, 8) for row in range(n)]


def make_reading(*characters: Character) -> Reading:
    return Reading(np.zeros((10, 10), bool), characters, 100, 100)


def make_truth(labels: str, *, is_ordered: bool = False, is_partial: bool = False) -> Truth:
    boxes = tuple(LabelledBox(box, label) for box, label in zip(places(len(labels)), labels, strict=True))
    return Truth(boxes, is_ordered=is_ordered, is_partial=is_partial)


def read_in_order(order: list[int]) -> Reading:
    """A reading of truth boxes by their places in the truth; -1 is a box where nothing stands."""
    boxes = places(10)
    return make_reading(
        *(Character(Box(80, 50, 8, 8) if place < 0 else boxes[place], "あ", 0.9) for place in order)
    )


def order_accuracy(reading: Reading, truth: Truth) -> float | None:
    return ratios([measure(reading, WHITE, truth=truth, text=None)])["reading_order_accuracy"]


def page_with(
    *areas: tuple[slice, slice, tuple[int, int, int]], paper: tuple[int, int, int] = PAPER
) -> PageImage:
    pixels = np.full((200, 200, 3), paper, np.uint8)
    for rows, columns, colour in areas:
        pixels[rows, columns] = colour
    return PageImage(pixels, 400, 400)  # half the original's size


def test_what_metrics_counts_is_what_metrics_counts() -> None:
    reading, truth = read_in_order([0, 1, -1]), make_truth("ああい")

    measures = measure(reading, WHITE, truth=truth, text=None)

    assert measures.scores == score(reading, truth)
    assert (measures.scores.n_matched, measures.scores.n_right) == (2, 2)
    assert page_figures(measures)["character_f1"] == pytest.approx(2 * 2 / (3 + 3))


def test_the_right_label_among_the_best_five_counts_folded_and_as_written() -> None:
    best = ("き", 0.2), ("く", 0.1), ("け", 0.05), ("気", 0.04), ("こ", 0.01)
    boxes = places(3)
    reading = make_reading(
        Character(boxes[0], "か", 0.6, best),  # 気 is the fifth; the truth writes 氣
        Character(boxes[1], "か", 0.6, best),  # こ is the sixth
        Character(boxes[2], "か", 0.6, best),
    )

    found = ratios([measure(reading, WHITE, truth=make_truth("氣こく"), text=None)])

    assert found["character_accuracy"] == 0
    assert found["character_accuracy_top5"] == pytest.approx(2 / 3)
    assert found["character_accuracy_top5_as_written"] == pytest.approx(1 / 3)


def test_reading_order_is_the_share_of_right_successors() -> None:
    truth = make_truth("ああああ", is_ordered=True)

    # After 0 comes 1 and after 2 comes 3, as it should; after 3 comes 0, and after 1 nothing.
    assert order_accuracy(read_in_order([2, 3, 0, 1]), truth) == pytest.approx(2 / 3)
    assert order_accuracy(read_in_order([3, 2, 1, 0]), truth) == 0


def test_what_was_missed_or_is_no_character_breaks_no_order() -> None:
    truth = make_truth("あああああ", is_ordered=True)

    assert order_accuracy(read_in_order([0, -1, 2, 4]), truth) == 1


@pytest.mark.parametrize(
    "truth",
    [
        make_truth("ああ"),
        make_truth("ああ", is_ordered=True, is_partial=True),
        make_truth("あ", is_ordered=True),
        Truth(is_ordered=True),
    ],
    ids=["without order", "partial", "a single box", "no boxes"],
)
def test_truth_without_an_order_supports_no_order_accuracy(truth: Truth) -> None:
    assert order_accuracy(read_in_order([0, 1]), truth) is None


def test_order_is_pooled_over_the_successors_of_all_pages() -> None:
    right = measure(
        read_in_order([0, 1, 2, 3]), WHITE, truth=make_truth("ああああ", is_ordered=True), text=None
    )
    wrong = measure(read_in_order([1, 0]), WHITE, truth=make_truth("ああ", is_ordered=True), text=None)

    assert ratios([right, wrong])["reading_order_accuracy"] == pytest.approx(3 / 4)


def test_texts_are_compared_folded_without_marks_and_white_space() -> None:
    # 気が若い read where 氣の若い人 stands: one replaced, one missing, three in common.
    counts = compare_texts("気が\n若い", "「氣の若い」\n 人。")

    assert counts == TextCounts(n_truth=5, n_found=4, n_common=3, distance=2)
    assert counts is not None
    assert counts.error_rate == pytest.approx(2 / 5)
    assert counts.f1 == pytest.approx(2 * 3 / (5 + 4))


def test_a_label_counts_as_often_as_the_text_has_it_and_wherever_it_stands() -> None:
    counts = compare_texts("のののは", "はの")

    assert counts is not None
    assert counts.n_common == 2
    assert counts.distance == 3  # the first の becomes は, the second stays, two go


def test_a_text_of_too_few_characters_is_not_compared() -> None:
    assert compare_texts("あ", " 。\n") is None
    assert compare_texts("あ", "あいう", min_length=4) is None
    assert compare_texts("あ", "あいう", min_length=3) is not None


def test_text_measures_are_pooled_and_averaged_over_pages_that_have_text() -> None:
    pages = [
        PageMeasures(text=TextCounts(n_truth=10, n_found=10, n_common=8, distance=2)),
        PageMeasures(text=TextCounts(n_truth=30, n_found=10, n_common=5, distance=24)),
        PageMeasures(text=TextCounts(n_truth=10, n_found=30, n_common=10, distance=20)),
        PageMeasures(),
    ]

    found = figures(pages)

    assert (found["pages"], found["text_pages"]) == (4, 3)
    assert found["text_error_rate"] == pytest.approx(46 / 50)
    assert found["text_error_rate_mean"] == pytest.approx((0.2 + 0.8 + 2.0) / 3)
    assert found["text_error_rate_median"] == pytest.approx(0.8)
    assert found["text_f1"] == pytest.approx(2 * 23 / 100)
    assert found["text_f1_mean"] == pytest.approx((0.8 + 0.25 + 0.5) / 3)
    assert found["text_f1_median"] == pytest.approx(0.5)


def test_calibration_is_the_mean_gap_between_sure_and_right_weighted_by_characters() -> None:
    # In [0.6, 0.7) two of mean 0.65, one of them right: a gap of 0.15. In [0.9, 1] one of 1.0, wrong.
    characters = [(0.6, True), (0.7 - 1e-9, False), (1.0, False)]

    bins = reliability(characters)

    assert [one.characters for one in bins] == [0, 0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert (bins[6].low, bins[6].high, bins[6].accuracy) == (0.6, 0.7, 0.5)
    assert bins[6].confidence == pytest.approx(0.65)
    assert bins[0].accuracy is None
    assert calibration_error(characters) == pytest.approx((2 * 0.15 + 1 * 1.0) / 3)
    assert calibration_error([]) is None


def test_only_matched_characters_tell_how_sure_the_reader_may_be() -> None:
    boxes = places(2)
    reading = make_reading(
        Character(boxes[0], "気", 0.9),
        Character(boxes[1], "か", 0.3),
        Character(Box(80, 80, 8, 8), "の", 0.8),
    )

    measures = measure(reading, WHITE, truth=make_truth("氣の"), text=None)

    assert measures.sureness == ((0.9, True), (0.3, False))


@pytest.mark.parametrize(
    ("truth", "text", "is_empty"),
    [
        (Truth(boxes=()), None, True),
        (Truth(boxes=(), is_partial=True), None, False),
        (None, " 。\n", True),
        (None, "あ", False),
        (None, None, False),
        (Truth(boxes=()), "あ", False),
        (make_truth("あ"), "", False),
    ],
)
def test_a_page_is_empty_if_somebody_says_so_and_nobody_denies_it(
    truth: Truth | None, text: str | None, is_empty: bool
) -> None:
    assert measure(read_in_order([0]), WHITE, truth=truth, text=text).is_empty == is_empty


def test_characters_on_empty_pages_are_a_mean_over_those() -> None:
    pages = [
        PageMeasures(n_reported=5, is_empty=True),
        PageMeasures(n_reported=0, is_empty=True),
        PageMeasures(n_reported=99),
    ]

    found = figures(pages)

    assert (found["empty_pages"], found["characters_on_empty_pages"], found["characters"]) == (2, 2.5, 104)
    assert figures([pages[2]])["characters_on_empty_pages"] is None


def test_seals_are_closed_and_thin_red_marks_black_ink_and_brown_paper_are_no_seals() -> None:
    frame = [
        (slice(20, 80), slice(20, 26), RED),
        (slice(20, 80), slice(44, 50), RED),
        (slice(20, 80), slice(64, 70), RED),
    ]
    line, ink = (slice(100, 180), slice(150, 154), RED), (slice(100, 160), slice(20, 80), BLACK)

    seals = seal_area(page_with(*frame, line, ink).pixels)

    assert seals[30:70, 28:62].all()  # the strokes and what is between them
    assert not seals[:, 100:].any()
    assert not seals[90:].any()
    assert not seal_area(page_with(ink, paper=BROWN).pixels).any()


def test_characters_in_a_seal_count_unless_they_match_and_those_of_its_ink_apart() -> None:
    seal, ink = (slice(20, 100), slice(20, 100), RED), (slice(30, 50), slice(30, 34), BLACK)
    on_ink, on_red, beside = Box(52, 60, 40, 40), Box(120, 120, 40, 40), Box(300, 300, 40, 40)
    reading = Reading(
        np.zeros((10, 10), bool),
        tuple(Character(box, "あ", 0.9) for box in (on_ink, on_red, beside)),
        400,
        400,
    )

    unknown = measure(reading, page_with(seal, ink), truth=None, text=None)
    known = measure(reading, page_with(seal, ink), truth=Truth((LabelledBox(on_ink, "あ"),)), text=None)

    assert (unknown.n_in_seals, unknown.n_seal_ink) == (2, 1)
    assert (known.n_in_seals, known.n_seal_ink) == (1, 1)


def test_a_box_at_the_very_edge_of_the_page_is_looked_up_on_it() -> None:
    reading = make_reading(Character(Box(100, 100, 1, 1), "し", 0.1))

    assert measure(reading, WHITE, truth=None, text=None).n_in_seals == 0


def test_without_pages_or_truth_every_ratio_is_there_and_unknown() -> None:
    names = set(ratios([PageMeasures(scores=Scores(0, 0, 0, 1, 1, 1, 1, 1, 1))]))

    assert ratios([]) == dict.fromkeys(names)
    assert ratios([PageMeasures()]) == dict.fromkeys(names)


def test_pages_are_rated_by_boxes_then_by_text_then_by_labels() -> None:
    boxed = Scores(n_truth=4, n_found=4, n_matched=4, n_right=1, n_right_as_written=1)
    partial = Scores(n_truth=4, n_matched=2, n_right=1, n_right_as_written=1)
    text = TextCounts(n_truth=5, n_found=5, n_common=4, distance=1)

    assert worth(PageMeasures(scores=boxed, text=text)) == 0.25
    assert worth(PageMeasures(scores=partial, text=text)) == 0.8
    assert worth(PageMeasures(scores=partial)) == 0.5
    assert worth(PageMeasures()) == 1


def test_texts_are_known_by_page_name_and_the_first_folder_counts(tmp_path: Path) -> None:
    for folder, text in (("a", "古今\n名物"), ("b", "別")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "b_00001_1.txt").write_text(text, encoding="utf-8")
    (tmp_path / "b" / "b_00002_1.txt").write_bytes(b"\xef\xbb\xbf" + "飯".encode())

    texts = load_texts([tmp_path / "a", tmp_path / "b"])

    assert texts == {"b_00001_1": "古今\n名物", "b_00002_1": "飯"}


def test_texts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="holds no text of a page"):
        load_texts([tmp_path])
    (tmp_path / "p.txt").write_bytes("飯".encode("cp932"))
    with pytest.raises(TruthError, match=r"p\.txt is not UTF-8"):
        load_texts([tmp_path])
