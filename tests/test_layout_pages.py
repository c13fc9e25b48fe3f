"""What a segmenter learns from photographs of which the layout is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fumikura.core.errors import DataSetError, TruthError
from fumikura.core.page import Box
from fumikura.core.training.datasets.layout_pages import load_layout_pages
from fumikura.core.training.datasets.training_pages import LONG_SIDE
from tests.test_layout import write_layout

OPENING = Box(100, 100, 600, 400)


def write_photograph(folder: Path, boxes: list[tuple[str, Box]]) -> None:
    Image.new("RGB", (800, 600), "white").save(folder / "photo.png")
    write_layout(folder / "photo.xml", boxes)


def test_nothing_is_learnt_in_lines_and_all_else_is_background(tmp_path: Path) -> None:
    line = Box(200, 150, 40, 300)
    write_photograph(tmp_path, [("1_overall", OPENING), ("2_handwritten", line)])

    (page,) = load_layout_pages([str(tmp_path)], [tmp_path])

    assert len(page.boxes) == 0
    scale = page.ignored.shape[0] / 600
    rows, columns = np.flatnonzero(page.ignored.any(axis=1)), np.flatnonzero(page.ignored.any(axis=0))
    # People's boxes may be four pixels off.
    assert columns[0] / scale == pytest.approx(196, abs=1)
    assert (columns[-1] + 1) / scale == pytest.approx(244, abs=1)
    assert rows[0] / scale == pytest.approx(146, abs=1)
    assert (rows[-1] + 1) / scale == pytest.approx(454, abs=1)


def test_a_leaf_of_an_opening_is_learnt_as_large_as_a_page(tmp_path: Path) -> None:
    write_photograph(tmp_path, [("1_overall", OPENING), ("2_handwritten", Box(200, 150, 40, 300))])

    (page,) = load_layout_pages([str(tmp_path)], [tmp_path])

    assert OPENING.height * page.pixels.shape[1] / 600 == pytest.approx(LONG_SIDE, abs=2)


def test_the_layout_of_another_photograph_is_refused(tmp_path: Path) -> None:
    write_photograph(tmp_path, [("2_handwritten", Box(2000, 150, 40, 300))])

    with pytest.raises(DataSetError, match="is that of another photograph"):
        load_layout_pages([str(tmp_path)], [tmp_path])


def test_books_that_are_left_out_are_not_learnt(tmp_path: Path) -> None:
    write_photograph(tmp_path, [("2_handwritten", Box(200, 150, 40, 300))])

    with pytest.raises(TruthError, match="no page of these archives has a layout"):
        load_layout_pages([str(tmp_path)], [tmp_path], without_books={tmp_path.name})
