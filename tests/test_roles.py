"""What characters belong to, and registers: worked by hand on pages of a few squares."""

from __future__ import annotations

from fumikura.core.page import Box, Role
from fumikura.core.recognition.roles import arrange

SIDE = 40
PITCH = 60
LEFT, RIGHT = 0, 1000


def column(x: int, top: int, n: int, *, side: int = SIDE) -> list[Box]:
    return [Box(x, top + row * (side + 4), side, side) for row in range(n)]


def columns(*columns: list[Box]) -> list[Box]:
    return [box for one in columns for box in one]


def order_of(boxes: list[Box]) -> list[int]:
    return [one.index for one in arrange(boxes, left=LEFT, right=RIGHT)]


def roles_of(boxes: list[Box]) -> dict[int, Role]:
    return {one.index: one.role for one in arrange(boxes, left=LEFT, right=RIGHT)}


def test_a_plain_page_is_main_text_from_right_to_left() -> None:
    boxes = columns(*(column(700 - PITCH * number, 100, 10) for number in range(4)))

    assert order_of(boxes) == list(range(40))
    assert set(roles_of(boxes).values()) == {Role.MAIN}


def test_columns_do_not_run_through_registers() -> None:
    upper = [column(700 - PITCH * number, 100, 4) for number in range(4)]
    lower = [column(700 - PITCH * number, 100 + 4 * 44 + 90, 4) for number in range(4)]
    # Boxes as they are met column by column: upper part, lower part.
    boxes = columns(*(one for pair in zip(upper, lower, strict=True) for one in pair))

    places = arrange(boxes, left=LEFT, right=RIGHT)

    in_upper = [one.index for one in places if boxes[one.index].y < 300]
    assert [one.index for one in places][:16] == in_upper
    assert [one.column for one in places] == [number for number in range(8) for _ in range(4)]


def test_a_gap_in_one_column_alone_makes_no_register() -> None:
    gap = [*column(700 - PITCH, 100, 3), *column(700 - PITCH, 400, 3)]
    boxes = columns(column(700, 100, 10), gap, column(700 - 2 * PITCH, 100, 10), column(520, 100, 10))

    assert order_of(boxes) == list(range(len(boxes)))


def test_small_characters_beside_larger_ones_are_their_furigana_and_come_last() -> None:
    main = columns(*(column(700 - 80 * number, 100, 8) for number in range(3)))
    furigana = [Box(700 + SIDE + 4, 100 + 44 * 2, 16, 16), Box(700 + SIDE + 4, 100 + 44 * 2 + 18, 16, 16)]

    places = arrange([*furigana, *main], left=LEFT, right=RIGHT)

    assert [one.index for one in places] == [*range(2, 26), 0, 1]
    assert [(one.role, one.base) for one in places[-2:]] == [(Role.FURIGANA, 4), (Role.FURIGANA, 4)]


def test_small_kana_in_their_own_column_are_main_text() -> None:
    boxes = columns(*(column(700 - 46 * number, 100, 8) for number in range(3)))
    small = Box(boxes[3].x + 10, boxes[3].y + 10, 20, 20)
    boxes[3] = small

    assert roles_of(boxes)[3] == Role.MAIN


def test_both_halves_of_a_note_are_notes() -> None:
    above, below = column(700, 100, 3), column(700, 400, 3)
    right, left = column(722, 240, 6, side=18), column(700, 240, 6, side=18)
    others = columns(*(column(700 - PITCH * number, 100, 10) for number in (1, 2)))
    boxes = [*above, *right, *left, *below, *others]

    roles = roles_of(boxes)

    assert {index for index, role in roles.items() if role == Role.NOTE} == set(range(3, 15))
    assert order_of(boxes)[:18] == list(range(18))


def test_a_title_at_the_very_edge_stands_in_the_margin() -> None:
    text = columns(*(column(700 - PITCH * number, 100, 10) for number in range(5)))
    title = column(4, 200, 4)

    roles = roles_of([*title, *text])

    assert [index for index, role in roles.items() if role == Role.MARGIN] == [0, 1, 2, 3]
    assert order_of([*title, *text])[-4:] == [0, 1, 2, 3]
