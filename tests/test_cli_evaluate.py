"""`fumikura evaluate pages`, whole: small pages on which it is known what is found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.overlay import TRUTH
from fumikura.core.page import Box, Character, LabelledBox, Truth
from fumikura.core.scoring.gallery import marks
from tests import handmade

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return handmade.write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def folder(tmp_path: Path, weights: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of two pages of a book, each with three blots, and no truth yet."""
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FUMIKURA_SEGMENTER_PATH", str(weights[0]))
    monkeypatch.setenv("FUMIKURA_DEVICES", "cpu")
    monkeypatch.chdir(tmp_path)
    handmade.write_zip(tmp_path / "book.zip", 2)
    return tmp_path


@pytest.fixture
def evaluate(folder: Path, weights: tuple[Path, Path]) -> Callable[..., Result]:
    """The command, where the archive is; but for the segmenter, which a variable names."""
    assert folder == Path.cwd()

    def run(*arguments: str, archive: str = "book.zip") -> Result:
        classifier = ["--classifier", str(weights[1])]
        return CliRunner().invoke(main, ["evaluate", "pages", archive, *classifier, *arguments])

    return run


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def ordered_truth(path: Path, number: int, columns: list[int]) -> None:
    """CODH's CSV of one page; Char IDs count the blots in the order of these columns."""
    rows = ["Unicode,Image,X,Y,Block ID,Char ID,Width,Height"]
    for place, column in enumerate(columns):
        y, x = handmade.blots(number)[column]
        rows.append(f"U+4E00,book_{number:05}_1,{x - 10},{y - 10},B0001,C{place:04},20,20")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_pages_books_and_all_together_are_one_object_each(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_truth(folder / "truth.csv", 2)

    result = evaluate("--truth", "truth.csv", "--json")

    assert result.exit_code == 0, result.output
    first, second, book, total = objects(result)
    assert [first["scope"], second["scope"], book["scope"], total["scope"]] == [
        "page",
        "page",
        "book",
        "total",
    ]
    assert (first["page"], first["book"], book["book"]) == ("book_00000_1", "book", "book")
    assert (book["pages"], total["pages"], total["characters"]) == (2, 2, 2 * handmade.BLOTS_PER_PAGE)
    assert all(one["detection_f1"] == 1 for one in (first, second, book, total))
    assert total["character_accuracy_top5"] == 1  # there are but three labels
    assert sum(one["characters"] for one in total["calibration"]) == 6
    assert {total[name] for name in ("reading_order_accuracy", "text_f1", "characters_on_empty_pages")} == {
        None
    }


def test_order_counts_where_the_truth_has_character_ids(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    ordered_truth(folder / "right.csv", 0, [0, 1, 2])
    ordered_truth(folder / "wrong.csv", 1, [2, 0, 1])  # read 0, 1, 2: only 0 has its successor

    result = evaluate("--truth", "right.csv", "--truth", "wrong.csv", "--json")

    first, second, _, total = objects(result)
    assert (first["reading_order_accuracy"], second["reading_order_accuracy"]) == (1, 0.5)
    assert total["reading_order_accuracy"] == 3 / 4


def test_texts_need_no_boxes_and_pages_of_which_nothing_is_known_are_left_out(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    (folder / "texts").mkdir()
    (folder / "texts" / "book_00001_1.txt").write_text("人山川。木\n", encoding="utf-8")  # none is a label

    result = evaluate("--text", "texts", "--json")

    page, _, total = objects(result)
    assert page["page"] == "book_00001_1"
    assert (page["text_length"], page["text_f1"], page["text_error_rate"]) == (4, 0, 1)
    assert (total["text_pages"], total["text_f1_median"], total["detection_f1"]) == (1, 0, None)


def test_texts_that_are_too_short_are_left_out(folder: Path, evaluate: Callable[..., Result]) -> None:
    (folder / "texts").mkdir()
    (folder / "texts" / "book_00001_1.txt").write_text("人山川木", encoding="utf-8")

    result = evaluate("--text", "texts", "--min-text", "5", "--json")

    assert objects(result)[-1]["text_pages"] == 0


def test_what_is_found_on_a_page_that_is_known_to_be_empty_is_counted(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    (folder / "train.csv").write_text("image_id,labels\nbook_00000_1,\n", encoding="utf-8")

    result = evaluate("--truth", "train.csv", "--json")

    total = objects(result)[-1]
    assert (total["empty_pages"], total["characters_on_empty_pages"]) == (1, handmade.BLOTS_PER_PAGE)


def test_partial_truth_supports_recall_and_label_accuracy(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_truth(folder / "truth.csv", 1)

    result = evaluate("--partial-truth", "truth.csv", "--json")

    total = objects(result)[-1]
    assert (total["detection_recall"], total["character_accuracy_top5"]) == (1, 1)
    assert {total[name] for name in ("detection_f1", "character_f1", "dice")} == {None}


def test_people_get_tables_of_what_is_known_and_the_worst_pages(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_truth(folder / "truth.csv", 2)

    result = evaluate("--truth", "truth.csv", "--limit", "1")

    assert result.exit_code == 0, result.output
    titles = [line for line in result.stdout.splitlines() if line[:1].isupper()]
    assert [title.strip() for title in titles] == [
        "Mask and boxes",
        "Labels",
        "Found characters by confidence",
        "Pages, the worst first",
    ]
    assert result.stdout.count("_1 ") == 1  # one page, by its name


def test_a_page_that_cannot_be_read_is_named_and_the_others_are_measured(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    pages = folder / "pages"
    pages.mkdir()
    (pages / "book_00000_1.png").write_bytes(handmade.page_png(0))
    (pages / "book_00001_1.png").write_bytes(b"no image")
    handmade.write_truth(folder / "truth.csv", 2)

    result = evaluate("--truth", "truth.csv", "--json", "--gallery", "worst", archive="pages")

    assert result.exit_code == 3
    assert "book_00001_1 was left out: not an image" in result.stderr
    read, failed, _, total = objects(result)
    assert read["detection_f1"] == 1
    assert failed["error"].startswith("not an image")
    assert total["pages"] == 1


def test_an_archive_that_cannot_be_read_is_named_and_the_others_are_measured(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    pages = folder / "shelf"
    pages.mkdir()
    handmade.write_zip(pages / "book.zip", 2)
    (pages / "other.zip").write_bytes(b"PK no zip")
    handmade.write_truth(folder / "truth.csv", 2)

    result = evaluate("--truth", "truth.csv", "--json", archive="shelf/*.zip")

    assert result.exit_code == 3
    assert "other.zip was left out: " in result.stderr
    assert objects(result)[-1]["pages"] == 2


def test_without_any_page_there_are_no_tables(folder: Path, evaluate: Callable[..., Result]) -> None:
    pages = folder / "pages"
    pages.mkdir()
    (pages / "book_00000_1.png").write_bytes(b"no image")
    handmade.write_truth(folder / "truth.csv", 1)

    result = evaluate("--truth", "truth.csv", archive="pages")

    assert (result.exit_code, result.stdout) == (3, "")


def test_pages_of_which_nothing_is_known_are_named(folder: Path, evaluate: Callable[..., Result]) -> None:
    handmade.write_zip(folder / "book.zip", 8)
    handmade.write_truth(folder / "truth.csv", 1)

    result = evaluate("--truth", "truth.csv")

    names = ", ".join(f"book_{number:05}_1" for number in range(1, 6))
    assert f"7 pages left out, of which nothing is known: {names}, and 2 more" in result.stderr


def test_boxes_of_some_characters_are_not_taken_for_all_in_silence(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_zip(folder / "book.zip", 4)
    pages = folder / "train.csv"
    y, x = handmade.blots(0)[0]
    pages.write_text(f"image_id,labels\nbook_00000_1,U+4E00 {x - 10} {y - 10} 20 20\n", encoding="utf-8")

    result = evaluate("--truth", "train.csv")

    assert "book_00000_1 has twice as many characters as boxes" in result.stderr
    assert "--partial-truth" in result.stderr


def test_a_gallery_takes_the_place_of_nothing_but_a_gallery(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_zip(folder / "book.zip", 2)
    handmade.write_truth(folder / "truth.csv", 2)
    (folder / "scans").mkdir()
    (folder / "scans" / "001.jpg").write_bytes(b"scan")

    refused = evaluate("--truth", "truth.csv", "--gallery", "scans")
    evaluate("--truth", "truth.csv", "--gallery", "worst")
    again = evaluate("--truth", "truth.csv", "--gallery", "worst", "--limit", "1")

    assert (refused.exit_code, again.exit_code) == (2, 0)
    assert (folder / "scans" / "001.jpg").read_bytes() == b"scan"
    assert {path.name for path in (folder / "worst").iterdir()} == {"index.html", "001.jpg"}


def test_the_gallery_shows_the_worst_pages_with_a_legend(
    folder: Path, evaluate: Callable[..., Result]
) -> None:
    handmade.write_truth(folder / "truth.csv", 2)
    (folder / "texts").mkdir()
    (folder / "texts" / "book_00001_1.txt").write_text("<い>", encoding="utf-8")

    result = evaluate("--truth", "truth.csv", "--text", "texts", "--gallery", "out/worst")

    assert result.exit_code == 0, result.output
    page = (folder / "out" / "worst" / "index.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == page.count("<img") == 2
    assert "&lt;い&gt;" in page
    assert "missed" in page
    with Image.open(folder / "out" / "worst" / "001.jpg") as drawn:
        colours = np.asarray(drawn.convert("RGB")).astype(int)
    assert (np.ptp(colours, axis=2) > 60).any()  # the scan itself is grey


def test_boxes_have_the_colour_of_what_became_of_them() -> None:
    boxes = [Box(0, 0, 10, 10), Box(0, 20, 10, 10), Box(0, 40, 10, 10)]
    truth = tuple(LabelledBox(box, label) for box, label in zip(boxes, "気きく", strict=True))
    found = [
        Character(boxes[0], "氣", 0.9),
        Character(boxes[1], "さ", 0.9),
        Character(Box(50, 50, 10, 10), "の", 0.9),
    ]

    complete = marks(found, Truth(truth))
    partial = marks(found, Truth(truth, is_partial=True))

    missed, right, wrong, _ = complete
    assert (missed.box, missed.label, missed.colour) == (boxes[2], "く", TRUTH)
    assert (right.truth, wrong.label, wrong.truth) == ("", "さ", "き")
    assert len({mark.colour for mark in complete}) == 4
    assert partial[:3] == complete[:3]
    assert partial[3].colour not in {mark.colour for mark in complete}
    assert marks(found, None)[0].colour == partial[3].colour


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "there is nothing to compare with; give --truth, --partial-truth or --text"),
        (["--truth", "other.csv"], 1, "no page of these archives has a name that truth or text names"),
        (["--truth", "nothing.csv"], 2, "nothing.csv"),
        (["--truth", "truth.csv", "--device", "tpu"], 2, "'tpu' is no device"),
        (["--truth", "truth.csv", "--segmenter", "absent"], 1, "no segmenter weights at absent"),
        (["--truth", "truth.csv", "--gallery", "other.csv"], 2, "other.csv"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    folder: Path, evaluate: Callable[..., Result], arguments: list[str], code: int, complaint: str
) -> None:
    handmade.write_truth(folder / "truth.csv", 1)
    (folder / "other.csv").write_text("image_id,labels\nother_00000_1,\n", encoding="utf-8")

    result = evaluate(*arguments)

    assert result.exit_code == code
    assert complaint in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_the_weights_that_ship_read_a_sample_page() -> None:
    archive, truth = str(SAMPLES / "drawn_001.jpg"), str(SAMPLES / "coordinate.csv")

    result = CliRunner().invoke(main, ["evaluate", "pages", archive, "--truth", truth, "--json"])

    assert result.exit_code == 0, result.output
    page = objects(result)[0]
    assert page["detection_f1"] > 0.5
    assert page["reading_order_accuracy"] > 0.5
    assert page["character_accuracy_top5"] >= page["character_accuracy"] > 0.1
