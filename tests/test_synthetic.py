from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fumikura.core.page import LabelledBox
from fumikura.core.training.drawing.columns import Scribe
from fumikura.core.training.drawing.fonts import GlyphFont, load_fonts
from fumikura.core.training.drawing.foreign import put_foreign_things
from fumikura.core.training.drawing.glyph_bending import make_form
from fumikura.core.training.drawing.hand import Hand
from fumikura.core.training.drawing.photographs import photograph
from fumikura.core.training.drawing.seals import stamp_seal
from fumikura.core.training.drawing.style import PageStyle, draw_style
from fumikura.core.training.drawing.synthetic import CSV_HEADER, render_many, render_page
from fumikura.core.vocabulary import clean_text
from samples.redraw import SAMPLES, read_texts
from tests.drawn_font import build_font, distinct_shapes

KANA = "うんいしかきくとりのこまつさちよたみはひゆけ"
KANJI = "山川人心春秋花月"
SAMPLES_FOLDER = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> list[GlyphFont]:
    path = tmp_path_factory.mktemp("fonts") / "brush.ttf"
    return load_fonts([build_font(path, distinct_shapes(KANA + KANJI))])


def plain_style(*, size: float = 24, furigana_share: float = 0.0, **changes: Any) -> PageStyle:
    """A clean page of 400 x 600 with black text in the middle."""
    style = draw_style(np.random.default_rng(0), long_side=600)
    layout = replace(
        style.layout,
        area=(60, 60, 340, 540),
        size=size,
        pitch=1.6,
        gap=0.05,
        furigana_share=furigana_share,
        note_share=0.0,
        fading=0.0,
        skew=0.0,
    )
    plain = PageStyle(
        width=400,
        height=600,
        sheet=replace(style.sheet, left=20, top=20, right=380, bottom=580),
        layout=layout,
        picture=None,
        weight=0.08,
        stretch=1.0,
        hentaigana_share=0.0,
        frame_lines=0,
        has_rules=False,
        has_fold_title=False,
        tone=(240, 230, 200),
        ink=(10, 10, 10),
        darkness=1.0,
        mottling=0.0,
        bleed=0.0,
        n_stains=0,
        n_holes=0,
        n_seals=0,
    )
    return replace(plain, **changes)


def draw(
    text: str | list[str], fonts: list[GlyphFont], style: PageStyle, *, seed: int = 1
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[LabelledBox]]:
    image, boxes = render_page(text, fonts=fonts, rng=np.random.default_rng(seed), style=style)
    return np.asarray(image), boxes


def test_the_same_seed_draws_the_same_page(fonts: list[GlyphFont]) -> None:
    pages = [
        render_page(KANA * 3, fonts=fonts, rng=np.random.default_rng(7), long_side=400) for _ in range(2)
    ]

    assert pages[0][0].tobytes() == pages[1][0].tobytes()
    assert pages[0][1] == pages[1][1]


def test_another_seed_draws_another_page(fonts: list[GlyphFont]) -> None:
    style = plain_style()

    first, second = (draw(KANA, fonts, style, seed=seed)[1] for seed in (1, 2))

    assert first != second


def test_boxes_are_labelled_in_the_order_of_the_text(fonts: list[GlyphFont]) -> None:
    _, boxes = draw(KANA + KANJI, fonts, plain_style())

    assert "".join(one.label for one in boxes) == KANA + KANJI


def test_columns_run_from_right_to_left_and_characters_downwards(fonts: list[GlyphFont]) -> None:
    columns = ["うんいし", "かきくと", "りのこま"]

    _, boxes = draw(columns, fonts, plain_style())

    centres = np.array([one.box.centre for one in boxes]).reshape(3, 4, 2)  # column, place, (y, x)
    assert (np.diff(centres[:, :, 0], axis=1) > 0).all()
    assert centres[0, :, 1].min() > centres[1, :, 1].max()
    assert centres[1, :, 1].min() > centres[2, :, 1].max()


def test_ink_lies_inside_the_boxes_and_only_there(fonts: list[GlyphFont]) -> None:
    style = replace(plain_style(), layout=replace(plain_style().layout, link_share=0.0))
    page, boxes = draw(KANA, fonts, style)
    inside = np.zeros(page.shape[:2], bool)
    for one in boxes:
        box = one.box
        window = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        inside[window] = True
        assert page[window].max(2).min() < 80, one

    # Two pixels around the boxes are the soft edge of strokes; the sheet's own edge is further out.
    dark = page.max(2)[50:550, 50:350] < 100
    assert dark.any()
    assert not (dark & ~_grown(inside, 2)[50:550, 50:350]).any()


def _grown(mask: np.ndarray[Any, np.dtype[np.bool_]], n_pixels: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    grown = mask.copy()
    for shift in range(-n_pixels, n_pixels + 1):
        for axis in (0, 1):
            grown |= np.roll(mask, shift, axis)
    return grown


def test_a_box_touches_its_ink_on_all_four_sides(fonts: list[GlyphFont]) -> None:
    rng = np.random.default_rng(3)
    hand = Hand(fonts, rng, size=30, weight=0.08, stretch=1.2, hentaigana_share=0)
    scribe = Scribe(hand, plain_style().layout, rng)
    scribe.fill(iter(KANA))

    for one in scribe.written:
        inked = np.argwhere(one.ink > 0.3) + np.array([one.top, one.left])
        box = one.box
        assert inked.min(0).tolist() == [box.y, box.x]
        assert inked.max(0).tolist() == [box.y + box.height - 1, box.x + box.width - 1]


def test_furigana_are_drawn_but_not_boxed(fonts: list[GlyphFont]) -> None:
    plain, _ = draw([KANJI], fonts, plain_style())

    page, boxes = draw([KANJI], fonts, plain_style(furigana_share=1.0))

    x = max(one.box.x + one.box.width for one in boxes) + 2
    beside = np.s_[60:540, x : x + 16]
    assert "".join(one.label for one in boxes) == KANJI
    assert (page[beside].max(2) < 120).sum() > 50
    assert (plain[beside].max(2) < 120).sum() == 0


def test_notes_in_two_half_columns_lose_no_character(fonts: list[GlyphFont]) -> None:
    layout = replace(plain_style().layout, note_share=0.3)
    text = KANA * 2

    _, boxes = draw(text, fonts, replace(plain_style(), layout=layout))

    heights = [one.box.height for one in boxes]
    assert "".join(one.label for one in boxes) == text
    assert min(heights) < 0.7 * max(heights)


def test_a_long_column_is_squeezed_into_the_page(fonts: list[GlyphFont]) -> None:
    _, boxes = draw([KANA + KANJI], fonts, plain_style(size=30))

    assert len(boxes) == len(KANA + KANJI)
    assert max(one.box.y + one.box.height for one in boxes) <= 540


def test_many_columns_are_pushed_together(fonts: list[GlyphFont]) -> None:
    _, boxes = draw(["山川"] * 12, fonts, plain_style())

    assert len(boxes) == 24
    assert min(one.box.x for one in boxes) > 50


def test_a_column_beyond_all_squeezing_is_the_callers_mistake(fonts: list[GlyphFont]) -> None:
    with pytest.raises(ValueError, match="break it"):
        draw([KANA * 20], fonts, plain_style())


def test_text_that_outgrows_the_page_is_cut(fonts: list[GlyphFont]) -> None:
    text = KANA * 40

    _, boxes = draw(text, fonts, plain_style())

    drawn = "".join(one.label for one in boxes)
    assert 0 < len(drawn) < len(text)
    assert text.startswith(drawn)


def test_characters_that_no_font_draws_are_left_out(fonts: list[GlyphFont]) -> None:
    _, boxes = draw("山鬱川", fonts, plain_style())

    assert [one.label for one in boxes] == ["山", "川"]


def test_a_page_without_text_has_no_boxes(fonts: list[GlyphFont]) -> None:
    page, boxes = draw("", fonts, plain_style(picture=(60, 60, 340, 540)))

    assert boxes == []
    assert (page[60:540, 60:340].max(2) < 100).any(), "the picture is there"


@pytest.mark.parametrize("seed", range(8))
def test_boxes_of_every_style_lie_on_the_page(fonts: list[GlyphFont], seed: int) -> None:
    image, boxes = render_page(
        (KANA + KANJI) * 9, fonts=fonts, rng=np.random.default_rng(seed), long_side=500
    )

    assert max(image.size) == 500
    assert boxes
    for one in boxes:
        assert 0 <= one.box.x < one.box.x + one.box.width <= image.width
        assert 0 <= one.box.y < one.box.y + one.box.height <= image.height


def test_stroke_width_of_a_bar_is_its_width(tmp_path: Path) -> None:
    (font,) = load_fonts([build_font(tmp_path / "bar.ttf", {"一": ((0, 300, 1000, 350),)})])

    form = make_form(font, "一", 200)

    # 50 of 1000 units at 200 pixels are 10; outlines on a grid are right to a fifth.
    assert form.stroke == pytest.approx(10, rel=0.3)


def test_a_seal_never_hides_the_ink_below_it(fonts: list[GlyphFont]) -> None:
    page = np.full((200, 200, 3), 240, np.float32)
    page[:, 100:] = 0

    for seed in range(20):
        stamp_seal(page, fonts, np.random.default_rng(seed))

    assert page[:, 100:].max() == 0
    assert page[:, :100, 1].min() < 200, "red takes green away"


def test_truth_of_many_pages_is_codh_csv(tmp_path: Path, fonts: list[GlyphFont]) -> None:
    path = render_many(3, tmp_path / "pages", [KANA, KANJI], fonts=fonts, seed=5, long_side=320)

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_HEADER
    assert {chr(int(row["Unicode"].removeprefix("U+"), 16)) for row in rows} <= set(KANA + KANJI)
    for row in rows:
        with Image.open(path.parent / f"{row['Image']}.jpg") as image:
            assert int(row["X"]) + int(row["Width"]) <= image.width
            assert int(row["Y"]) + int(row["Height"]) <= image.height
    assert len(list(path.parent.glob("drawn_*.jpg"))) == 3


def test_many_pages_need_text(tmp_path: Path, fonts: list[GlyphFont]) -> None:
    with pytest.raises(ValueError, match="text"):
        render_many(1, tmp_path, [], fonts=fonts, seed=0)


def test_truth_of_the_samples_is_their_text() -> None:
    with (SAMPLES_FOLDER / "coordinate.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = read_texts(SAMPLES_FOLDER / "text.txt")

    assert set(texts) == set(SAMPLES)
    for name, lines in texts.items():
        drawn = "".join(chr(int(row["Unicode"][2:], 16)) for row in rows if row["Image"] == name)
        text = clean_text("".join(lines))
        assert text.startswith(drawn), name
        assert len(drawn) > 100, name


def test_the_samples_are_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLES_FOLDER.iterdir()]

    assert sum(sizes) < 2_000_000
    assert len(list(SAMPLES_FOLDER.glob("*.jpg"))) == 6


@pytest.mark.parametrize("seed", range(4))
def test_foreign_things_leave_every_character_to_be_seen(seed: int, fonts: list[GlyphFont]) -> None:
    image, boxes = render_page(KANA * 6, fonts=fonts, rng=np.random.default_rng(1), style=plain_style())
    scan = np.asarray(image)

    changed = put_foreign_things(scan, boxes, np.random.default_rng(seed), share=1.0)

    assert (changed != scan).any(axis=2).mean() > 0.005
    for box in (one.box for one in boxes):
        part = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        # A crease may run through it, and changes shades by less than a third.
        darkest = scan[part].min(), changed[part].min()
        assert abs(int(darkest[0]) - int(darkest[1])) < 60


def test_boxes_move_with_a_page_that_is_photographed(fonts: list[GlyphFont]) -> None:
    image, boxes = render_page(KANA * 6, fonts=fonts, rng=np.random.default_rng(1), style=plain_style())
    scan = np.asarray(image)

    photo, moved = photograph(scan, boxes, np.random.default_rng(3))

    assert photo.shape[0] > scan.shape[0]
    for before, after in zip(boxes, moved, strict=True):
        old, new = before.box, after.box
        assert after.label == before.label
        assert (
            photo[new.y : new.y + new.height, new.x : new.x + new.width]
            == scan[old.y : old.y + old.height, old.x : old.x + old.width]
        ).all()
