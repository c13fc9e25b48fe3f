from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fumikura.core.errors import FumikuraError
from fumikura.core.training.datasets.crop_bank import drawable
from fumikura.core.training.drawing.fonts import draw_glyph, glyph_ink, hentaigana, load_fonts, variants
from tests.drawn_font import Bar, build_font

KA_1, KA_2 = (unicodedata.lookup(f"HENTAIGANA LETTER KA-{number}") for number in (1, 2))
PLACEHOLDER: tuple[Bar, ...] = ((0, 0, 900, 900),)
POST: tuple[Bar, ...] = ((300, 0, 500, 800),)


def test_characters_that_share_a_placeholder_are_not_drawn(tmp_path: Path) -> None:
    shapes = dict.fromkeys("亜唖娃阿", PLACEHOLDER) | {"か": POST}

    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", shapes)])

    assert font.characters == {"か"}


def test_characters_with_an_empty_glyph_are_not_drawn(tmp_path: Path) -> None:
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", {"か": POST, "き": (), " ": ()})])

    assert drawable([font], "かき ") == {"か"}


def test_an_old_and_a_new_form_may_share_a_glyph(tmp_path: Path) -> None:
    shapes: dict[str, tuple[Bar, ...]] = {"営": POST, "營": POST, "か": ((0, 0, 700, 100),)}

    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", shapes)])

    assert drawable([font], "営營か") == {"営", "營", "か"}


@pytest.mark.parametrize("size", [0, 100, 500])
def test_a_damaged_font_is_one_clear_line(tmp_path: Path, size: int) -> None:
    font = build_font(tmp_path / "brush.ttf", {"か": POST})
    font.write_bytes(font.read_bytes()[:size])

    with pytest.raises(FumikuraError, match=r"brush\.ttf is no font that can be read"):
        load_fonts([font])


def test_fonts_in_a_folder_come_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.ttf", "a.ttf"):
        build_font(tmp_path / name, {"か": POST})
    (tmp_path / "OFL.txt").write_text("licence")

    assert [font.name for font in load_fonts([tmp_path])] == ["a", "b"]


@pytest.mark.parametrize("make_it", [True, False])
def test_a_folder_without_fonts_is_one_clear_error(tmp_path: Path, make_it: bool) -> None:
    folder = tmp_path / "fonts"
    if make_it:
        folder.mkdir()

    with pytest.raises(FumikuraError, match="fonts"):
        load_fonts([folder])


def test_ink_fills_the_long_side_and_is_centred_on_the_short_one(tmp_path: Path) -> None:
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", {"か": POST})])

    glyph = draw_glyph(font, "か", 64)

    # A post of 200 x 800 units: 16 x 64 pixels, 24 of 64 left free on each side.
    inked = glyph > 127
    assert glyph.shape == (64, 64)
    assert inked.any(1).all()
    assert np.flatnonzero(inked.any(0)).tolist() == list(range(24, 40))


def test_glyph_ink_keeps_small_characters_small(tmp_path: Path) -> None:
    shapes: dict[str, tuple[Bar, ...]] = {"か": POST, "ゝ": ((400, 300, 500, 500),)}
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", shapes)])

    # 800 and 200 of 1000 units at 100 pixels to the em.
    assert glyph_ink(font, "か", 100).shape[0] == pytest.approx(80, abs=1)
    assert glyph_ink(font, "ゝ", 100).shape[0] == pytest.approx(20, abs=1)


def test_drawing_what_a_font_lacks_is_the_callers_mistake(tmp_path: Path) -> None:
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", {"か": POST})])

    with pytest.raises(ValueError, match="variants"):
        glyph_ink(font, "き", 48)


def test_hentaigana_read_as_the_kana_in_their_name() -> None:
    forms = hentaigana()

    assert {KA_1, KA_2} <= set(forms["か"])
    assert unicodedata.lookup("HENTAIGANA LETTER WI-1") in forms["ゐ"]
    assert unicodedata.lookup("HENTAIGANA LETTER N-MU-MO-1") in forms["ん"]
    # 285 letters named HENTAIGANA, and the archaic YE, which had its name before them.
    assert sum(map(len, forms.values())) == 286


def test_variants_are_the_character_and_its_hentaigana(tmp_path: Path) -> None:
    shapes: dict[str, tuple[Bar, ...]] = {"か": POST, KA_1: ((0, 0, 99, 99),), KA_2: ((0, 0, 400, 99),)}
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", shapes)])

    assert variants(font, "か") == ("か", KA_1, KA_2)
    assert variants(font, "き") == ()


def test_a_new_kanji_is_also_drawn_in_its_old_form(tmp_path: Path) -> None:
    shapes = {"気": POST, "氣": PLACEHOLDER}
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", shapes)])

    assert variants(font, "気") == ("気", "氣")


def test_voiced_hentaigana_get_two_drops_at_the_upper_right(tmp_path: Path) -> None:
    (font,) = load_fonts([build_font(tmp_path / "brush.ttf", {KA_1: POST})])

    (variant,) = variants(font, "が")
    ink = glyph_ink(font, variant, 96) > 127

    parts, n_parts = ndimage.label(ink, np.ones((3, 3)))
    sizes = ndimage.sum_labels(ink, parts, [1, 2, 3])
    post = int(np.argmax(sizes)) + 1
    drops = np.argwhere((parts > 0) & (parts != post))
    assert n_parts == 3
    assert drops[:, 0].max() < ink.shape[0] / 3
    assert drops[:, 1].min() > np.argwhere(parts == post)[:, 1].max()
