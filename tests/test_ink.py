import numpy as np
import pytest

from fumikura.core.training.datasets.ink import drawn_to_ink, ink_of

BOX = np.array([[40, 40, 40, 60]], np.float32)


def page_with(*strokes: tuple[int, int, int, int]) -> np.ndarray:
    """Bool (160, 120): strokes as left, top, right, bottom."""
    ink = np.zeros((160, 120), bool)
    for left, top, right, bottom in strokes:
        ink[top:bottom, left:right] = True
    return ink


def test_ink_is_darker_than_the_paper_around_it() -> None:
    shade = np.linspace(120, 240, 300, dtype=np.float32)
    pixels = np.repeat(np.tile(shade, (200, 1))[..., None], 3, axis=2)
    pixels[80:120, 140:150] -= 60

    ink = ink_of(pixels.astype(np.uint8))

    assert ink[80:120, 140:150].all()
    assert ink.sum() == 400


@pytest.mark.parametrize(
    ("stroke", "expected"),
    [
        pytest.param((50, 60, 70, 80), (50, 60, 20, 20), id="smaller than the box"),
        pytest.param((36, 38, 84, 103), (36, 38, 48, 65), id="beyond all four sides"),
        pytest.param((20, 50, 80, 90), (34, 50, 46, 40), id="no further than the reach"),
    ],
)
def test_a_box_is_drawn_to_its_ink(
    stroke: tuple[int, int, int, int], expected: tuple[int, int, int, int]
) -> None:
    assert drawn_to_ink(BOX, page_with(stroke)).tolist() == [list(expected)]


def test_a_stroke_that_mostly_lies_outside_is_a_neighbours() -> None:
    ink = page_with((50, 50, 70, 90), (77, 50, 90, 90))

    assert drawn_to_ink(BOX, ink).tolist() == [[50, 50, 20, 40]]


def test_a_box_without_ink_stays() -> None:
    ink = page_with((50, 50, 51, 52))

    assert drawn_to_ink(BOX, ink).tolist() == BOX.tolist()


def test_a_box_over_the_edge_of_the_page_ends_with_the_ink() -> None:
    boxes = np.array([[-5, -8, 40, 60], [90, 120, 40, 60]], np.float32)
    ink = page_with((0, 0, 30, 50), (95, 125, 120, 160))

    assert drawn_to_ink(boxes, ink).tolist() == [[0, 0, 30, 50], [95, 125, 25, 35]]


def test_the_given_boxes_are_not_changed() -> None:
    boxes = BOX.copy()

    drawn_to_ink(boxes, page_with((50, 60, 70, 80)))

    assert (boxes == BOX).all()


def test_no_boxes_stay_none() -> None:
    assert drawn_to_ink(np.empty((0, 4), np.float32), page_with()).shape == (0, 4)
