"""What was read is put right in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.limits import DEFAULT_LIMITS
from fumikura.core.page import LabelledBox
from fumikura.core.scoring.truth import load_truth
from fumikura.core.store.corrections import corrected_truths
from fumikura.core.store.upgrading import open_database
from fumikura.core.training.adapting import choose_pages
from tests.handmade import handmade_reading, write_zip
from tests.simple_store import read_all, start_run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an archive of two pages, and what was read on them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FUMIKURA_DATABASE_URL", raising=False)
    write_zip(tmp_path / "book.zip", 2)
    engine = open_database("sqlite:///fumikura.db")
    start_run(engine, list_pages([str(tmp_path / "book.zip")]).pages)
    read_all(engine, handmade_reading(0, "一二三"), handmade_reading(1, "人人人"))
    engine.dispose()
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def fill_in(**right: str) -> list[dict[str, str]]:
    """Fill the last column of the rows whose crops are named: c1="人"."""
    path = Path("sheet/corrections.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    for row in rows:
        row["right"] = right.get(f"c{row['crop']}", "")
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    path.write_text(text.getvalue(), "utf-8-sig")
    return rows


def test_a_table_has_a_row_and_a_picture_a_character() -> None:
    result = invoke("correct", "export", "sheet")

    assert result.exit_code == 0, result.output
    rows = fill_in()
    assert [(row["crop"], row["page"], row["read"]) for row in rows[2:4]] == [
        ("3", "book_00000_1", "三"),
        ("4", "book_00001_1", "人"),
    ]
    with Image.open("sheet/crops/000004.png") as crop:
        assert crop.size == (34, 34)  # a box of 20 pixels, and 7 around it
        assert crop.getpixel((17, 17)) == (0, 0, 0)


def test_what_is_filled_in_is_shown_and_comes_out_as_truth() -> None:
    invoke("correct", "export", "sheet")
    fill_in(c1="壱", c2="-", c3="三")

    result = invoke("correct", "import", "sheet/corrections.csv", "--who", "Aoi", "--json")

    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {"n_labels": 1, "n_deleted": 1, "n_confirmed": 1, "n_known": 0, "conflicts": []},
    )
    assert invoke("text", "book_00000_1").stdout == "壱\n三\n"
    assert "Aoi" in invoke("correct", "list", "book_00000_1").stdout
    assert invoke("export", "--format", "codh", "--corrected", "truth").exit_code == 0
    boxes = [one.box for one in handmade_reading(0, "一二三").characters]
    truth = load_truth([Path("truth")], partial=True)
    assert truth["book_00000_1"].boxes == (LabelledBox(boxes[0], "壱"), LabelledBox(boxes[2], "三"))
    again = invoke("correct", "import", "sheet/corrections.csv", "--json")
    assert json.loads(again.stdout) == {
        "n_labels": 0, "n_deleted": 0, "n_confirmed": 0, "n_known": 3, "conflicts": [],
    }  # fmt: skip
    invoke("correct", "undo", "book_00000_1")
    assert invoke("text", "book_00000_1").stdout == "一\n二\n三\n"


def test_a_row_that_no_longer_fits_is_named() -> None:
    invoke("correct", "export", "sheet")
    fill_in(c1="壱")
    invoke("correct", "import", "sheet/corrections.csv")
    fill_in(c1="弐", c2="二三", c4="入")

    result = invoke("correct", "import", "sheet/corrections.csv")

    assert result.exit_code == 3
    assert "line 2, crop 1, page book_00000_1: 壱 stands there now, and not 一" in result.stderr
    assert "line 3, crop 2" in result.stderr
    assert "1 label put right" in result.stderr
    assert invoke("text", "book_00001_1").stdout == "入\n人\n人\n"


def test_a_table_that_somebody_is_filling_in_is_not_written_over() -> None:
    invoke("correct", "export", "sheet")
    fill_in(c1="壱")

    result = invoke("correct", "export", "sheet")

    assert result.exit_code == 2
    assert "was changed since" in result.stderr
    assert fill_in(c1="壱")[0]["read"] == "一"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", ""])
def test_another_table_is_refused(text: str) -> None:
    Path("other.csv").write_text(text)

    result = invoke("correct", "import", "other.csv")

    assert result.exit_code == 2
    assert "no column 'crop'" in result.stderr


def test_adapting_takes_what_people_put_right(folder: Path) -> None:
    invoke("correct", "export", "sheet")
    fill_in(c1="壱")
    invoke("correct", "import", "sheet/corrections.csv")

    engine = open_database("sqlite:///fumikura.db")
    corrections = corrected_truths(engine)
    pages = choose_pages(
        [str(folder / "book.zip")], [], [], n_pages=5, limits=DEFAULT_LIMITS, corrections=corrections
    )

    assert [page.truth is not None for page in pages] == [True, False]
    assert pages[0].truth is not None
    assert pages[0].truth.boxes == (LabelledBox(handmade_reading(0, "一二三").characters[0].box, "壱"),)
