"""Reading order: columns from the right, each from the top."""

from __future__ import annotations

import random

from fumikura.core.page import Box
from fumikura.core.recognition.order import reading_order


def column(x: int, *tops: int, side: int = 40) -> list[Box]:
    return [Box(x, top, side, side) for top in tops]


def test_columns_go_from_right_to_left_and_down() -> None:
    boxes = column(100, 0, 50, 100) + column(300, 0, 50, 100) + column(200, 0, 50, 100)

    assert reading_order(boxes) == [(3, 0), (4, 0), (5, 0), (6, 1), (7, 1), (8, 1), (0, 2), (1, 2), (2, 2)]


def test_the_order_of_the_boxes_given_does_not_matter() -> None:
    boxes = [box for x in (100, 180, 260) for box in column(x, *range(0, 500, 50))]
    wanted = [boxes[index] for index, _ in reading_order(boxes)]
    random.Random(1).shuffle(boxes)

    assert [boxes[index] for index, _ in reading_order(boxes)] == wanted


def test_a_column_may_waver_and_lean() -> None:
    leaning = [Box(300 - 6 * number, 50 * number, 40, 40) for number in range(12)]
    beside = [Box(230 - 6 * number, 50 * number, 40, 40) for number in range(12)]

    order = reading_order(beside + leaning)

    assert [index for index, _ in order] == [*range(12, 24), *range(12)]


def test_a_gap_does_not_end_a_column() -> None:
    boxes = column(300, 0, 50, 600, 650) + column(200, 0, 50, 100)

    assert reading_order(boxes) == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)]


def test_a_page_without_boxes_has_no_order() -> None:
    assert reading_order([]) == []


def test_every_box_is_read_once() -> None:
    chance = random.Random(3)
    boxes = [
        Box(
            chance.randrange(2000), chance.randrange(3000), chance.randrange(1, 200), chance.randrange(1, 200)
        )
        for _ in range(400)
    ]

    assert sorted(index for index, _ in reading_order(boxes)) == list(range(400))


def test_a_note_in_two_halves_is_read_right_half_first_and_then_the_column_goes_on() -> None:
    above, below = column(280, 0, 50, side=40), column(280, 300, 350, side=40)
    right = [Box(302, top, 18, 18) for top in (110, 135, 160, 185)]
    left = [Box(278, top, 18, 18) for top in (110, 135, 160)]
    next_column = column(200, *range(0, 400, 50))

    order = [index for index, _ in reading_order([*above, *right, *left, *below, *next_column])]

    assert order == list(range(2 + 4 + 3 + 2 + 8))


def test_a_column_that_goes_on_right_under_one_half_of_a_note_is_still_one_column() -> None:
    above, below = column(280, 0, 50), column(282, 160, 210, 260, 310)
    right = [Box(302, top, 18, 18) for top in (100, 122)]
    left = [Box(278, top, 18, 18) for top in (98, 120)]
    next_column = column(200, *range(0, 350, 50))

    order = reading_order([*above, *right, *left, *below, *next_column])

    assert [index for index, _ in order] == list(range(2 + 2 + 2 + 4 + 7))
    assert {number for _, number in order} == {0, 1}


def test_a_forgotten_character_beside_its_column_is_read_where_it_stands() -> None:
    boxes = [*column(300, 0, 50, 100, 150), Box(342, 90, 12, 12), *column(200, 0, 50, 100, 150)]

    assert [index for index, _ in reading_order(boxes)] == [0, 1, 4, 2, 3, 5, 6, 7, 8]


def test_narrow_neighbours_as_far_apart_as_columns_are_no_note() -> None:
    wide = column(300, *range(0, 400, 50))
    narrow = [Box(x, top, 20, 20) for x in (230, 160) for top in range(0, 400, 50)]

    assert [index for index, _ in reading_order([*wide, *narrow])] == list(range(24))
