"""Layouts that people drew, and where characters were found on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.errors import TruthError
from fumikura.core.page import Box
from fumikura.core.scoring.layout import Layout, count_layout, layout_figures, load_layouts
from tests import handmade

MATERIAL = Box(0, 0, 100, 100)


def write_layout(path: Path, boxes: list[tuple[str, Box]]) -> None:
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box.x}</xmin><ymin>{box.y}</ymin>"
        f"<xmax>{box.x + box.width}</xmax><ymax>{box.y + box.height}</ymax></bndbox></object>"
        for name, box in boxes
    )
    path.write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")


def test_characters_are_counted_in_lines_beside_them_and_outside_the_material() -> None:
    layout = Layout((MATERIAL,), (Box(10, 10, 20, 80),))

    counts = count_layout([Box(15, 20, 10, 10), Box(50, 50, 10, 10), Box(200, 50, 10, 10)], layout)

    assert (counts.n_characters, counts.n_in_lines, counts.n_outside) == (3, 1, 1)


def test_a_character_four_pixels_beside_a_line_is_in_it() -> None:
    layout = Layout((MATERIAL,), (Box(10, 10, 20, 80),))

    # Centred at x = 34 - 1 and at x = 34 + 1; the line ends at 30.
    counts = count_layout([Box(28, 40, 10, 10), Box(30, 60, 10, 10)], layout)

    assert counts.n_in_lines == 1


def test_a_column_is_covered_a_quarter_of_its_width_around_its_characters() -> None:
    layout = Layout((MATERIAL,), (Box(10, 0, 20, 100), Box(40, 0, 50, 60)))

    # Rows 30 to 40 and five more above and below; the second line is too broad for a column.
    counts = count_layout([Box(15, 30, 10, 10), Box(45, 10, 10, 10)], layout)

    assert (counts.height, counts.covered) == (100, 20)


def test_counts_are_added_up_before_they_are_divided() -> None:
    few = count_layout([Box(15, 30, 10, 10)], Layout((MATERIAL,), (Box(10, 0, 20, 100),)))
    none = count_layout([], Layout((MATERIAL,), (Box(10, 0, 20, 60),)))

    figures = layout_figures([few, none])

    assert figures["columns_covered"] == pytest.approx(20 / 160)
    assert figures["characters_in_lines"] == 1.0
    assert layout_figures([none])["characters_in_lines"] is None


def test_what_is_no_layout_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "page.xml").write_text("<alto/>", encoding="utf-8")

    with pytest.raises(TruthError, match=r"page\.xml is no VOC XML"):
        load_layouts([tmp_path])


def test_evaluate_layout_tells_pages_books_and_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    handmade.write_zip(tmp_path / "book.zip", 2)
    y, x = handmade.blots(1)[0]
    boxes = [("1_overall", Box(0, 0, 5000, 5000)), ("2_handwritten", Box(x - 10, y - 20, 20, 40))]
    write_layout(tmp_path / "book_00001_1.xml", boxes)
    monkeypatch.chdir(tmp_path)

    weights = ["--segmenter", str(segmenter), "--classifier", str(classifier), "--device", "cpu"]
    options = ["--layout", "book_00001_1.xml", "--json", *weights]
    result = CliRunner().invoke(main, ["evaluate", "layout", "book.zip", *options])

    assert result.exit_code == 0, result.output
    page, book, total = [json.loads(line) for line in result.stdout.splitlines()]
    assert (page["scope"], page["page"], book["book"]) == ("page", "book_00001_1", "book")
    # Each of the drawn pages has three blots, and the line holds the first.
    assert total["characters"] == 3
    assert total["characters_in_lines"] == pytest.approx(1 / 3)
    assert total["characters_outside_material"] == 0
    assert "1 page left out" in result.stderr
