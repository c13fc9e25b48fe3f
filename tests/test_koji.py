"""Koji, the notation of みんなで翻刻: what stands in the column is text, what stands beside it is not."""

from __future__ import annotations

import pytest

from fumikura.core.export.notes import stretches
from fumikura.core.koji import plain_text
from fumikura.core.page import Box, Character
from fumikura.core.recognition.order import reading_order


# The examples are those of https://wiki.honkoku.org/doku.php?id=howto_markup and of the notation's own tests.
@pytest.mark.parametrize(
    ("koji", "text"),
    [
        ("つれづれなるまゝに", "つれづれなるまゝに"),
        ("◯嘉永七年寅の十一月／諸国（しょこく）大／地（ち）しん", "◯嘉永七年寅の十一月諸国大地しん"),
        ("《振り仮名：諸国｜しょこく》大《振り仮名：獅子|しし|ライオン》", "諸国大獅子"),
        ("低￣レテ＿レ頭￣ヲ思￣フ＿二故郷￣ヲ＿一", "低頭思故郷"),
        ("昔々あるところに《割書：おじいさんと｜おばあさん》が", "昔々あるところにおじいさんとおばあさんが"),
        ("《割書：《題：割書の一行目》｜《題：割書の二行目》》", "割書の一行目割書の二行目"),
        ("《見せ消ち：元の文章｜新しい文章》。《圏点：対象となる文字｜◯》", "元の文章。対象となる文字"),
        ("この部分に【注記（ちゅうき）が入ります】。", "この部分に。"),
        ("虫損した□文字■■＃１０※欄外", "虫損した文字"),
        ("％表紙\n安政二改正\n《囲い書き：禁売》", "安政二改正\n禁売"),
        ("未（いまだ｜ズ）漢-文｛太郎｝＜十月＞", "未漢文太郎十月"),
        ("《割書：四｜五", "割書：四｜五"),  # not closed: what can be kept is kept
    ],
)
def test_the_main_text_is_what_stands_in_the_columns(koji: str, text: str) -> None:
    assert plain_text(koji) == text


def column_of(*boxes: tuple[int, int, int, int]) -> list[Character]:
    """The characters of the page's only column, in reading order, each labelled by its place in `boxes`."""
    order = reading_order([Box(*box) for box in boxes])
    assert {column for _, column in order} == {0}
    return [Character(Box(*boxes[index]), "あいうえおかきくけこさしすせそ"[index], 1.0) for index, _ in order]


def test_a_note_in_two_halves_is_found_between_main_text() -> None:
    above = [(100, y, 40, 40) for y in range(0, 270, 45)]
    right, left = [(122, y, 18, 18) for y in (270, 290, 310)], [(100, y, 18, 18) for y in (270, 290, 310)]
    below = [(100, y, 40, 40) for y in (335, 380, 425)]

    found = list(stretches(column_of(*above, *right, *left, *below)))

    assert [["".join(one.label for one in part) for part in stretch] for stretch in found] == [
        ["あいうえおか"],
        ["きくけ", "こさし"],
        ["すせそ"],
    ]


def test_a_column_without_a_note_is_one_stretch() -> None:
    column = column_of((100, 0, 40, 40), (104, 38, 40, 40), (98, 90, 40, 40))

    assert list(stretches(column)) == [(column,)]
    assert list(stretches([])) == []
