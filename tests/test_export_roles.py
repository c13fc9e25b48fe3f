"""Leaves, furigana, notes in two halves and what stands in the margin keep their place in each format."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from fumikura.core.export.exporting import export
from fumikura.core.export.formats import Style
from fumikura.core.koji import plain_text
from fumikura.core.scoring.metrics import pool, score
from fumikura.core.scoring.truth import load_truth
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection, stream_pages
from tests.simple_store import make_page, read_all, start_run
from tests.simple_xml import parsed
from tests.test_export_schemas import reading_with_roles


@pytest.fixture
def read(engine: Engine) -> Engine:
    """A database with one opening: see `reading_with_roles`."""
    start_run(engine, [make_page(1)])
    read_all(engine, reading_with_roles())
    return engine


def text_of(element: etree._Element) -> str:
    return "".join(element.itertext())


def test_text_has_a_gap_between_leaves_and_nothing_from_beside(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="txt")

    assert (out / "tale_001.txt").read_text(encoding="utf-8") == "いろ\nにほへとちり\n\n𛀂＆\n"


def test_koji_has_furigana_notes_and_the_margin(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="koji", style=Style(unsure_below=0.1))

    written = (out / "tale_001.txt").read_text(encoding="utf-8")

    assert written == "い《振り仮名：ろ｜は》\nに《割書：ほへ｜とち》り\n𛀂＆\n【欄外：ん】\n"
    assert plain_text(written).split() == ["いろ", "にほへとちり", "𛀂＆"]


def test_tei_has_ruby_notes_a_break_a_leaf_and_the_margin(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="tei")

    root = parsed(out / "tale.xml")
    (ruby,), (note,), (margin,) = (list(root.iterfind(f".//{{*}}{kind}")) for kind in ("ruby", "note", "fw"))

    assert [text_of(part) for part in ruby] == ["ろ", "は"]
    assert [text_of(half) for half in note] == ["ほへ", "とち"]
    assert (text_of(margin), margin.get("facs")) == ("ん", "#line1_5")
    assert [one.get("n") for one in root.iterfind(".//{*}pb")] == ["tale_001", "tale_001, leaf 2"]
    assert text_of(root.find(".//{*}ab")) == "いろはにほへとちり𛀂＆ん"
    assert [zone.get("type") for zone in root.iterfind(".//{*}zone")] == [
        *("line", "line", "furigana", "line", "margin")
    ]


def test_alto_has_a_block_a_leaf_and_role_and_tags_notes(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="alto")

    root = parsed(out / "tale_001.xml")

    assert [(one.get("ID"), one.get("LABEL")) for one in root.iterfind(".//{*}OtherTag")] == [
        *(("furigana", "furigana"), ("margin", "margin"), ("note", "note"))
    ]
    told = [
        (block.get("TAGREFS"), [one.get("CONTENT") for one in block.iterfind(".//{*}String")])
        for block in root.iterfind(".//{*}TextBlock")
    ]
    assert told == [
        *((None, ["いろ", "に", "ほへとち", "り"]), ("furigana", ["は"])),
        *((None, ["𛀂＆"]), ("margin", ["ん"])),
    ]
    assert [one.get("CONTENT") for one in root.iterfind(".//{*}String[@TAGREFS='note']")] == ["ほへとち"]


def test_page_xml_has_a_region_a_leaf_and_role_in_reading_order(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="page")

    root = parsed(out / "tale_001.xml")
    regions = {one.get("id"): one for one in root.iterfind(".//{*}TextRegion")}

    ordered = [one.get("regionRef") for one in root.iterfind(".//{*}RegionRefIndexed")]
    assert [(regions[one].get("type"), regions[one].get("custom")) for one in ordered] == [
        ("paragraph", None),
        ("other", "structure {type:furigana;}"),
        ("paragraph", None),
        ("marginalia", "structure {type:margin;}"),
    ]
    said = [regions[one].findtext("{*}TextEquiv/{*}Unicode") for one in ordered]
    assert said == ["いろ\nにほへとちり", "は", "𛀂＆", "ん"]


@pytest.mark.parametrize("name", ["alto", "page"])
def test_what_stands_beside_the_text_is_boxes_and_no_text_when_it_is_read_back(
    read: Engine, out: Path, name: str
) -> None:
    export(read, Selection(), out, format_name=name)

    scores = pool([score(reading_with_roles(), load_truth([out])["tale_001"])])

    assert scores is not None
    figures = ("detection_f1", "character_f1", "text_f1", "line_recall", "line_precision", "text_error_rate")
    assert [scores[figure] for figure in figures] == [1, 1, 1, 1, 1, 0]


def test_a_role_is_chosen_and_keeps_the_places_of_its_characters(read: Engine) -> None:
    (page,) = stream_pages(read, Selection(role="furigana"))

    assert [(one.label, one.base) for one in page.characters] == [("は", 1)]
    assert page.positions == (8,)
