"""Drawing: everything that was read is seen where it stands, and no label is an empty box."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.lettering import drawable, font, is_drawn
from fumikura.core.overlay import CONFIDENCE, confidence_colour, draw, resized
from fumikura.core.page import Box, Character, PageImage

WHITE = np.full((400, 300, 3), 255, np.uint8)
PAGE = PageImage(WHITE, width=600, height=800)  # half the original's size


def pixels(picture: Image.Image) -> NDArray[np.int_]:
    return np.asarray(picture).astype(int)


def changed(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all that is not as it was."""
    rows, columns = np.nonzero((pixels(picture) != WHITE).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def on_page(characters: list[Character]) -> Image.Image:
    """What is drawn on the page itself, without margin and legend."""
    return draw(PAGE, mask=None, characters=characters).crop((0, 0, 300, 400))


def test_a_page_on_which_nothing_was_read_stays_as_it_is() -> None:
    picture = draw(PAGE, mask=None, characters=())

    assert picture.size == (300, 400)
    assert (pixels(picture) == WHITE).all()


def test_the_page_s_own_pixels_are_not_drawn_upon() -> None:
    before = PAGE.pixels.copy()

    draw(PAGE, mask=np.ones((40, 30), bool), characters=[Character(Box(100, 100, 80, 80), "あ", 0.9)])

    assert (PAGE.pixels == before).all()


def test_boxes_of_the_original_page_are_drawn_at_the_picture_s_scale() -> None:
    picture = draw(PAGE, mask=None, characters=[Character(Box(100, 200, 120, 160), "あ", 0.9)])

    seen = pixels(picture)
    edges = [seen[140, 50], seen[140, 110], seen[100, 80], seen[180, 80]]  # the middle of each side
    assert all(edge[2] > edge[0] + 50 for edge in edges)  # blue
    assert (seen[140, 80] == 255).all()  # and nothing inside


def test_boxes_without_room_for_round_corners_are_drawn() -> None:
    # Sides of a few pixels and fractions of one, as a page gives that is drawn small.
    boxes = [Box(20 + 3 * x, 20 + 2 * y, 1 + x, 1 + y) for x in range(24) for y in range(24)]
    page = PageImage(WHITE, width=1900, height=2533)

    draw(page, mask=None, characters=[Character(box, "し", 0.9) for box in boxes])


def test_the_label_stands_right_of_its_box() -> None:
    left, _, right, _ = changed(on_page([Character(Box(200, 200, 80, 80), "国", 0.9)]))

    assert right > 140 + 10
    assert left >= 100 - 2


def test_a_label_at_the_edge_of_the_page_stands_in_a_margin_and_in_its_own_column() -> None:
    characters = [Character(Box(510, 200, 80, 80), "国", 0.9)]

    picture = draw(PAGE, mask=None, characters=characters)

    left, _, right, _ = changed(on_page(characters))
    assert left >= 255 - 2  # nothing left of its own box
    assert right <= 300
    margin = pixels(picture)[100:140, 300:]
    assert margin.shape[1] > 10
    assert (margin[..., 0] < 100).any()  # the label's own colour
    assert not (margin[:, -1, 0] < 100).any()  # and all of it


def test_a_column_number_at_the_upper_edge_is_seen_whole() -> None:
    seen = pixels(on_page([Character(Box(200, 0, 80, 80), "国", 0.9)]))

    number = (seen[:40, 112:128].max(axis=2) < 200).any(axis=1)  # rows with ink, the box's own left out
    assert number[3:30].sum() > 6
    assert not number[2]


@pytest.mark.parametrize(
    ("confidence", "place"),
    [(0.0, 0), (0.3, 1), (0.49, 1), (0.5, 2), (0.64, 2), (0.7, 3), (0.9, 4), (1, 4)],
)
def test_the_colour_says_how_sure_a_label_is(confidence: float, place: int) -> None:
    wanted = CONFIDENCE[place][1]

    seen = pixels(on_page([Character(Box(100, 100, 120, 60), "あ", confidence)]))

    assert confidence_colour(confidence) == wanted
    assert (seen[45:100, 45:130] == wanted).all(axis=2).any()


def test_a_legend_below_the_page_names_each_colour_and_hides_nothing() -> None:
    picture = draw(PAGE, mask=np.ones((4, 3), bool), characters=[Character(Box(100, 100, 60, 60), "あ", 0.9)])

    legend = pixels(picture)[400:]
    assert len(legend) > 10
    for _, colour in CONFIDENCE:
        assert (legend == colour).all(axis=2).sum() > 30


@pytest.mark.parametrize("colour", [(220, 30, 30), (0, 0, 0), (255, 255, 255), (110, 85, 60)])
def test_a_box_is_seen_on_seals_ink_and_brown_paper(colour: tuple[int, int, int]) -> None:
    page = PageImage(np.full_like(WHITE, colour), 600, 800)
    character = Character(Box(100, 200, 120, 160), "あ", 0.1)

    side = pixels(draw(page, mask=None, characters=[character]))[140, 47:54]

    line = (side == CONFIDENCE[0][1]).all(axis=1)
    rim = side.min(axis=1) > 240
    assert line.any()
    assert rim[np.flatnonzero(line)[0] - 1]
    assert rim[np.flatnonzero(line)[-1] + 1]


def test_the_mask_is_outlined_and_leaves_paper_and_ink_as_they_are() -> None:
    page = PageImage(WHITE.copy(), 300, 400)
    page.pixels[:, 100:110] = 0
    mask = np.zeros((40, 30), bool)
    mask[:20] = True

    seen = pixels(draw(page, mask=mask, characters=()))[:400]

    is_changed = (seen != page.pixels).any(axis=(1, 2))
    assert is_changed[198:204].any()
    assert not is_changed[:198].any()
    assert not is_changed[204:].any()


def test_a_drawing_is_made_at_the_size_that_was_asked_for() -> None:
    assert resized(PAGE, 200).pixels.shape == (200, 150, 3)


def test_a_line_joins_the_characters_of_one_column_only() -> None:
    above, below = Box(200, 100, 60, 60), Box(200, 500, 60, 60)  # between them rows 80 to 250, column 115

    one = pixels(draw(PAGE, mask=None, characters=[Character(above, "あ", 1), Character(below, "い", 1)]))
    two = pixels(
        draw(PAGE, mask=None, characters=[Character(above, "あ", 1), Character(below, "い", 1, (), 1)])
    )

    assert (one[150, 113:118] != 255).any()
    assert (two[150, 113:118] == 255).all()


@pytest.mark.parametrize("label", list("ゝゞヽヾ々〻〳〵あアー国氣躰嶋▲〇㝡"))
def test_labels_that_the_font_has_are_set_as_they_are(label: str) -> None:
    assert drawable(label) == label


@pytest.mark.parametrize(
    ("label", "glyphs"),
    [
        ("〱", "〳〵"),
        ("〲", "〴〵"),
        ("\N{HENTAIGANA LETTER KA-1}", "か"),
        ("㑹", "会"),
        ("\U0002ffff", None),
    ],
)
def test_labels_that_the_font_lacks_are_set_in_parts_or_in_their_usual_form(
    label: str, glyphs: str | None
) -> None:
    assert drawable(label) == glyphs


def test_no_two_of_the_substitutes_look_alike_or_empty() -> None:
    shapes = {bytes(font(24).getmask(glyph)) for glyph in "〳〵〴〓か会"}

    assert len(shapes) == 6
    assert all(any(shape) for shape in shapes)
    assert not is_drawn("\uffff")


def test_drawing_does_not_import_matplotlib() -> None:
    code = "import sys; from fumikura.core.lettering import font; font(20); "
    code += "print('matplotlib' in sys.modules)"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "False\n"
