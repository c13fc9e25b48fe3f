"""Material and gutters on photographs, and what is shown to the networks of them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fumikura.core.archives.images import decode
from fumikura.core.page import Box, PageImage
from fumikura.core.recognition.leaves import find_gutter, find_material, leaf_outlines
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.recognition.views import (
    box_on_page,
    leaf_of,
    leaves_of,
    mask_on_page,
    view_of,
    with_view,
)

PAPER, TABLE, INK = (226, 214, 190), (150, 150, 152), (40, 36, 30)
PAGE = Box(250, 100, 1100, 760)


def columns(draw: ImageDraw.ImageDraw, left: int, right: int, top: int, bottom: int) -> None:
    """Columns of strokes as broken as writing is."""
    rng = np.random.default_rng(left)
    for x in range(left, right, 50):
        for y in range(top, bottom, 14):
            if rng.random() < 0.7:
                draw.rectangle((x, y, x + int(rng.integers(8, 28)), y + 6), fill=INK)


def opening(*, gutter: int | None = 800, skew: float = 0.0) -> NDArray[np.uint8]:
    """A photograph of 1600 x 1200: paper on a grey table, a ruler below, a cradle's bar behind."""
    image = Image.new("RGB", (1600, 1200), TABLE)
    draw = ImageDraw.Draw(image)
    draw.rectangle((780, 0, 815, 1200), fill=(20, 20, 20))
    draw.rectangle((0, 1060, 1600, 1090), fill="white")
    for x in range(0, 1600, 40):
        draw.rectangle((x, 1065, x + 10, 1085), fill="black")
    draw.rectangle((PAGE.x, PAGE.y, PAGE.x + PAGE.width, PAGE.y + PAGE.height), fill=PAPER)
    columns(draw, PAGE.x + 60, 740, 200, 800)
    columns(draw, 860, PAGE.x + PAGE.width - 60, 200, 800)
    if gutter is not None:
        for step in range(PAGE.height):
            middle = gutter + skew * (step - PAGE.height / 2)
            draw.line([(middle - 4, PAGE.y + step), (middle + 4, PAGE.y + step)], fill=(120, 108, 90))
    return np.array(image)


def near(found: Box | None, expected: Box) -> bool:
    if found is None:
        return False
    ends = (found.x, found.y, found.x + found.width, found.y + found.height)
    wanted = (expected.x, expected.y, expected.x + expected.width, expected.y + expected.height)
    return all(abs(one - other) <= 16 for one, other in zip(ends, wanted, strict=True))


def test_the_material_is_found_without_ruler_and_cradle() -> None:
    assert near(find_material(opening()), PAGE)


@pytest.mark.parametrize("table", [(15, 15, 16), (176, 176, 178), (70, 90, 80)])
def test_the_material_is_found_on_tables_of_any_colour(table: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (1600, 1200), table)
    ImageDraw.Draw(image).rectangle((400, 150, 1000, 1000), fill=PAPER)

    assert near(find_material(np.array(image)), Box(400, 150, 600, 850))


def test_paper_that_fills_its_image_is_not_cut() -> None:
    image = Image.new("RGB", (900, 1200), PAPER)
    columns(ImageDraw.Draw(image), 100, 800, 150, 1050)

    assert find_material(np.array(image)) is None


@pytest.mark.parametrize("skew", [0.0, 0.04, -0.04])
def test_a_gutter_is_followed_where_it_is_not_upright(skew: float) -> None:
    pixels = opening(skew=skew)[PAGE.y : PAGE.y + PAGE.height, PAGE.x : PAGE.x + PAGE.width]

    gutter = find_gutter(pixels)

    assert gutter
    for x, y in gutter:
        expected = (800 - PAGE.x + skew * (y - 0.5) * PAGE.height) / PAGE.width
        assert x == pytest.approx(expected, abs=0.015)


def test_one_broad_leaf_has_no_gutter_unless_it_must() -> None:
    pixels = opening(gutter=None)[PAGE.y : PAGE.y + PAGE.height, PAGE.x : PAGE.x + PAGE.width]

    assert find_gutter(pixels) == ()
    assert [x for x, _ in find_gutter(pixels, must_be=True)] == [0.5] * 8


def test_each_leaf_has_its_outline_the_right_one_first() -> None:
    right, left = leaf_outlines(Box(0, 0, 100, 60), [(50, 0), (52, 30), (50, 60)])

    assert right == ((50, 0), (100, 0), (100, 60), (50, 60), (52, 30))
    assert left == ((0, 0), (50, 0), (52, 30), (50, 60), (0, 60))


def as_page(pixels: NDArray[np.uint8]) -> PageImage:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return decode(file.getvalue(), long_side=1216, max_pixels=10_000_000)


def test_an_opening_is_seen_as_large_as_a_page_alone_and_a_page_as_it_is() -> None:
    view = view_of(as_page(opening()), Parameters())
    alone = view_of(as_page(opening()[100:860, 250:800]), Parameters())

    assert len(view.gutter) == 8
    # The material is 760 pixels high and cut out with a cell of the thumbnail on each side.
    assert view.pixels.shape[0] == pytest.approx(1216, abs=2)
    assert view.scale == pytest.approx(alone.scale, rel=0.05)
    assert (alone.left, alone.top, alone.gutter) == (0, 0, ())


def test_the_whole_photograph_is_one_page_if_that_is_asked_for() -> None:
    page = as_page(opening())

    view = view_of(page, replace(Parameters(), leaves="off"))

    assert view.pixels.shape == (912, 1216, 3)
    assert leaves_of(view, page) == ()


def test_a_scroll_gets_the_height_of_a_page() -> None:
    sheet = Image.new("RGB", (9000, 900), PAPER)
    columns(ImageDraw.Draw(sheet), 40, 8900, 100, 800)

    view = view_of(as_page(np.array(sheet)), Parameters())

    assert view.pixels.shape[0] == 1216
    assert view.scale == pytest.approx(1216 / 900, rel=0.01)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_what_is_read_on_a_turned_page_goes_back_to_where_it_stands(turns: int) -> None:
    pixels = np.full((400, 300, 3), 255, np.uint8)
    pixels[50:80, 200:240] = 0
    page = PageImage(pixels, 300, 400)

    view = view_of(page, replace(Parameters(), leaves="off", long_side=400), quarter_turns=turns)
    rows, xs = (
        np.flatnonzero((view.pixels[..., 0] == 0).any(1)),
        np.flatnonzero((view.pixels[..., 0] == 0).any(0)),
    )
    seen = Box(int(xs[0]), int(rows[0]), len(xs), len(rows))

    assert box_on_page(seen, view, page) == Box(200, 50, 40, 30)
    mask = mask_on_page(view.pixels[..., 0] == 0, view, page)
    assert (mask == (pixels[..., 0] == 0)).all()


def test_characters_left_of_the_gutter_stand_on_the_second_leaf() -> None:
    page = with_view(as_page(opening()), Parameters())
    assert page.view is not None

    assert leaf_of(Box(1000, 300, 20, 20), page.view) == 0
    assert leaf_of(Box(500, 300, 20, 20), page.view) == 1
