"""Folding: the table itself, and what it makes of words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fumikura.core.folding import TABLE, fold

PAIRS = [tuple(line.split("\t")) for line in TABLE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("國學", "国学"),
        ("氣", "気"),
        ("假名遣", "仮名遣"),
        ("劔", "剣"),
        ("嶋", "島"),
        ("躰", "体"),
        ("㝡", "最"),
    ],
)
def test_old_kanji_and_variants_take_their_usual_form(old: str, new: str) -> None:
    assert fold(old) == new


def test_hentaigana_are_read_as_their_modern_kana() -> None:
    assert fold("\N{HENTAIGANA LETTER KA-1}\N{HENTAIGANA LETTER SU-2}") == "かす"


@pytest.mark.parametrize("text", ["かな", "ゝゞ〱", "カナ", "春夏秋冬", "著着", "廻回", "杯盃", "▲〇", ""])
def test_kana_iteration_marks_and_words_of_their_own_stay(text: str) -> None:
    assert fold(text) == text


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_folding_keeps_the_number_of_characters(text: str) -> None:
    assert len(fold(text)) == len(text)


def test_every_line_holds_two_different_characters_in_nfc() -> None:
    for variant, usual in PAIRS:
        assert len(variant) == len(usual) == 1
        assert variant != usual
        assert unicodedata.normalize("NFC", variant + usual) == variant + usual


def test_no_character_has_two_usual_forms_and_no_usual_form_is_folded_on() -> None:
    variants = [variant for variant, _ in PAIRS]

    assert len(set(variants)) == len(variants)
    assert not set(variants) & {usual for _, usual in PAIRS}


def test_all_286_hentaigana_of_unicode_are_in_the_table() -> None:
    hentaigana = {chr(code) for code in range(0x1B001, 0x1B11F)}  # from ARCHAIC YE to N-MU-MO-2

    assert hentaigana <= {variant for variant, _ in PAIRS}
    assert all("\u3041" <= fold(kana) <= "\u3093" for kana in hentaigana)
