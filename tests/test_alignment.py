"""Pairing what was found with a text: against all alignments counted one by one, and on a real run."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from fumikura.cli.main import main
from fumikura.core.page import Box, LabelledBox
from fumikura.core.training.alignment import MISSED, Found, pair
from fumikura.core.training.mining import MinedBox, count_noise, without_known
from tests import handmade

Step = tuple[str, int, int]


def found(labels: list[list[float]], *, certainty: float = 0.9, halves: float = -9.0) -> Found:
    """Detections that are all equally sure; rows of `labels` hold log-probabilities."""
    table = np.array(labels, dtype=float)
    n = len(table)
    return Found(
        np.full(n, math.log(certainty)),
        np.full(n, math.log(1 - certainty)),
        table,
        np.full((n - 1, table.shape[1]), halves),
    )


def alignments(given_: Found, n: int = 0, t: int = 0) -> Iterator[tuple[float, list[Step]]]:
    """Every way to explain all detections and all characters, with its log-weight."""
    n_found, n_text = given_.label.shape
    if n == n_found and t == n_text:
        yield 0.0, []
        return
    moves: list[tuple[float, Step, int, int]] = []
    if n < n_found:
        moves.append((given_.is_nothing[n], ("nothing", n, t), 1, 0))
    if t < n_text:
        moves.append((MISSED, ("missed", n, t), 0, 1))
    if n < n_found and t < n_text:
        moves.append((given_.is_character[n] + given_.label[n, t], ("single", n, t), 1, 1))
    if n + 1 < n_found and t < n_text:
        two = given_.is_nothing[n] + given_.is_nothing[n + 1] + given_.halves[n, t]
        moves.append((two, ("double", n, t), 2, 1))
    for weight, step, more_found, more_text in moves:
        for rest, steps in alignments(given_, n + more_found, t + more_text):
            yield weight + rest, [step, *steps]


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.integers(1, 3).flatmap(
            lambda t: st.lists(st.lists(st.floats(-8, 0), min_size=t, max_size=t), min_size=n, max_size=n)
        )
    ),
    st.floats(0.05, 0.95),
    st.floats(-8, 0),
)
def test_probabilities_are_those_of_all_alignments_counted_one_by_one(
    labels: list[list[float]], certainty: float, halves: float
) -> None:
    given_ = found(labels, certainty=certainty, halves=halves)
    singles, doubles = np.zeros(given_.label.shape), np.zeros(given_.halves.shape)
    total = 0.0
    for weight, steps in alignments(given_):
        total += math.exp(weight)
        for kind, n, t in steps:
            if kind == "single":
                singles[n, t] += math.exp(weight)
            if kind == "double":
                doubles[n, t] += math.exp(weight)

    got_singles, got_doubles = pair(given_)

    assert got_singles == pytest.approx(singles / total, abs=1e-9)
    assert got_doubles == pytest.approx(doubles / total, abs=1e-9)


def test_an_unreadable_character_between_two_sure_ones_is_known_by_its_place() -> None:
    sure, unknown = math.log(0.9), math.log(0.002)
    labels = np.full((3, 3), unknown)
    labels[0, 0] = labels[2, 2] = sure

    singles, _ = pair(found(labels.tolist()))

    assert singles.diagonal().min() > 0.9


def test_a_speck_that_was_found_gets_no_character() -> None:
    sure, unknown = math.log(0.9), math.log(0.002)
    labels = [[sure, unknown], [unknown, unknown], [unknown, sure]]

    singles, _ = pair(found(labels))

    assert singles[0, 0] > 0.9
    assert singles[2, 1] > 0.9
    assert singles[1].max() < 0.1


def test_two_halves_are_put_together_when_only_their_union_reads_well() -> None:
    unknown = math.log(0.002)
    given_ = found([[unknown], [unknown]], certainty=0.3, halves=math.log(0.9))

    _, doubles = pair(given_)

    assert doubles[0, 0] > 0.9


def mined(label: str, x: int) -> MinedBox:
    return MinedBox(LabelledBox(Box(x, 0, 10, 10), label), 1.0)


def test_noise_is_counted_where_truth_lies_and_old_forms_are_no_noise() -> None:
    truth = [LabelledBox(Box(0, 0, 10, 10), "気"), LabelledBox(Box(20, 0, 10, 10), "あ")]

    judged, wrong = count_noise([mined("気", 1), mined("い", 21), mined("う", 50)], truth)

    assert (judged, wrong) == (2, 1)
    assert [item.labelled.label for item in without_known([mined("気", 1), mined("う", 50)], truth)] == ["う"]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """One page of three blots, weights that find them, and its text."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "book_00000_1.png").write_bytes(handmade.page_png(0))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "book_00000_1.txt").write_text("一二三\n", encoding="utf-8")
    handmade.write_weights(tmp_path)
    return tmp_path


def invoke_align(book: Path, *options: str) -> Result:
    arguments = ["align", str(book / "pages"), "--text", str(book / "texts")]
    arguments += ["--segmenter", str(book / "segmenter.safetensors")]
    arguments += ["--classifier", str(book / "classifier.safetensors")]
    return CliRunner().invoke(main, [*arguments, "--out", str(book / "aligned.csv"), *options])


def align(book: Path, *options: str) -> list[dict[str, str]]:
    result = invoke_align(book, *options)
    assert result.exit_code == 0, result.output
    with (book / "aligned.csv").open(encoding="utf-8", newline="") as file:
        return [{"stdout": result.stdout, **row} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_align_writes_the_text_where_its_characters_stand(book: Path) -> None:
    rows = align(book)

    # Columns go from right to left; each blot is in its box.
    assert [chr(int(row["Unicode"][2:], 16)) for row in rows] == ["一", "二", "三"]
    for row, (y, x) in zip(rows, handmade.blots(0), strict=True):
        left, top = int(row["X"]), int(row["Y"])
        assert left <= x < left + int(row["Width"])
        assert top <= y < top + int(row["Height"])


@pytest.mark.slow
def test_align_keeps_boxes_that_people_drew_and_counts_what_they_contradict(book: Path) -> None:
    handmade.write_truth(book / "kana.csv", 1)  # says that all three are 一

    rows = align(book, "--partial-truth", str(book / "kana.csv"), "--json")

    assert [row["Unicode"] for row in rows] == ["U+4E00"] * 3
    assert json.loads(rows[0]["stdout"]) == {
        "page": "book_00000_1",
        "text": 3,
        "mined": 3,
        "judged": 3,
        "wrong": 2,
    }


@pytest.mark.slow
def test_a_mask_leaves_the_boxes_to_the_text(book: Path) -> None:
    (book / "masks").mkdir()
    (book / "masks" / "book_00000_1.png").write_bytes(handmade.page_png(0))

    assert len(align(book, "--truth", str(book / "masks"))) == 3


@pytest.mark.parametrize("name", ["kana.csv", "pages/book_00000_1.png", "texts/book_00000_1.txt"])
def test_align_writes_over_nothing_but_what_it_wrote(book: Path, name: str) -> None:
    handmade.write_truth(book / "kana.csv", 1)
    before = (book / name).read_bytes()

    result = invoke_align(book, "--partial-truth", str(book / "kana.csv"), "--out", str(book / name))

    assert result.exit_code == 2
    assert re.search("did not write it|was not written by align", result.stderr)
    assert (book / name).read_bytes() == before


def test_align_without_a_text_for_any_page_says_how_texts_are_named(book: Path) -> None:
    (book / "texts" / "book_00000_1.txt").rename(book / "texts" / "other.txt")

    result = CliRunner().invoke(
        main,
        ["align", str(book / "pages"), "--text", str(book / "texts"), "--out", str(book / "aligned.csv")],
    )

    assert result.exit_code == 1
    assert "PAGE.txt" in result.stderr
    assert not (book / "aligned.csv").exists()


@pytest.mark.slow
def test_align_obeys_the_limit_of_pixels_and_leaves_nothing_half_written(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUMIKURA_MAX_PIXELS", "1000")

    result = invoke_align(book)

    assert result.exit_code == 3
    assert "book_00000_1 was left out" in result.stderr
    assert "more than 1,000 in all" in result.stderr
    assert not list(book.glob("aligned*"))


@pytest.mark.slow
def test_a_page_that_cannot_be_read_does_not_keep_the_others_from_being_aligned(book: Path) -> None:
    (book / "pages" / "book_00001_1.png").write_bytes(handmade.page_png(1)[:200])
    (book / "texts" / "book_00001_1.txt").write_text("一", encoding="utf-8")

    result = invoke_align(book)

    assert result.exit_code == 3
    assert "book_00001_1 was left out" in result.stderr
    assert len((book / "aligned.csv").read_text().splitlines()) == 1 + 3


def test_a_book_to_leave_out_that_is_not_there_is_named(book: Path) -> None:
    result = invoke_align(book, "--without-book", "bok")

    assert "--without-book bok leaves nothing out" in result.stderr


def test_pages_of_one_name_are_not_given_the_same_text(book: Path) -> None:
    (book / "pages" / "again").mkdir()
    (book / "pages" / "again" / "book_00000_1.png").write_bytes(handmade.page_png(1))

    result = invoke_align(book)

    assert result.exit_code == 1
    assert "two different pages" in result.stderr
