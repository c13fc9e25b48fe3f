"""hOCR and TEI, by what their own definitions ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fumikura.core.export.exporting import export
from fumikura.core.export.formats import Style
from fumikura.core.page import PageReference
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from tests.simple_store import make_page, make_reading, read_all, start_run
from tests.simple_xml import parsed

XML_ID = "{http://www.w3.org/XML/1998/namespace}id"


@pytest.fixture
def read(engine: Engine) -> Engine:
    """A database with tale_001, three columns, and tale_002, which is blank."""
    start_run(engine, [make_page(1), make_page(2)])
    read_all(engine, make_reading("いろ𛀂", "気", "ゞ＆<"), make_reading())
    return engine


def test_hocr_has_boxes_and_confidence_of_characters(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="hocr", extent="all")

    root = parsed(out / "pages.hocr")
    found = {
        kind: [one.get("title") for one in root.iterfind(f".//*[@class='{kind}']")]
        for kind in ("ocr_page", "ocr_line", "ocrx_cinfo")
    }

    assert found["ocr_page"] == [
        'image "tale_001.jpg"; bbox 0 0 300 200; ppageno 0',
        'image "tale_002.jpg"; bbox 0 0 300 200; ppageno 1',
    ]
    assert found["ocr_line"] == ["bbox 290 0 300 30", "bbox 270 0 280 10", "bbox 250 0 260 30"]
    assert found["ocrx_cinfo"][1] == "x_bboxes 290 10 300 20; x_confs 50.00"
    lines = root.iterfind(".//*[@class='ocr_line']")
    assert ["".join(line.itertext()) for line in lines] == ["いろ𛀂", "気", "ゞ＆<"]


def test_hocr_names_its_program_and_all_classes_that_it_uses(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="hocr", extent="all")

    root = parsed(out / "pages.hocr")
    told = {one.get("name"): one.get("content") for one in root.iterfind(".//{*}meta")}

    assert told["ocr-system"].startswith("fumikura ")
    assert set(told["ocr-capabilities"].split()) == {
        one.get("class") for one in root.iterfind(".//*[@class]")
    }


def test_text_in_tei_refers_to_zones_of_the_facsimile(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="tei")

    root = parsed(out / "tale.xml")
    zones = {zone.get(XML_ID): zone.get("ulx") for zone in root.iterfind(".//{*}zone")}
    lines = [(lb.get("facs"), lb.tail) for lb in root.iterfind(".//{*}lb")]

    assert zones == {"line1_1": "290", "line1_2": "270", "line1_3": "250"}
    assert lines == [("#line1_1", "いろ𛀂"), ("#line1_2", "気"), ("#line1_3", "ゞ＆<")]
    surfaces = [surface.get(XML_ID) for surface in root.iterfind(".//{*}surface")]
    assert [pb.get("facs") for pb in root.iterfind(".//{*}pb")] == [f"#{name}" for name in surfaces]
    assert root.findtext(".//{*}title") == "tale"


def test_tei_says_what_is_unsure(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="tei", style=Style(unsure_below=0.6))

    unclear = list(parsed(out / "tale.xml").iterfind(".//{*}unclear"))

    assert "".join(one.text or "" for one in unclear) == "いろ𛀂気ゞ＆<"
    assert {one.get("cert") for one in unclear} == {"0.5000"}


@pytest.mark.parametrize("name", ["hocr", "tei"])
def test_no_name_of_a_file_breaks_them(engine: Engine, out: Path, name: str) -> None:
    start_run(engine, [PageReference("/scans", "a\x01&\"<b'\\.png", "1" * 64, 1, "boo\x02k")])
    read_all(engine, make_reading("い"))

    export(engine, Selection(), out, format_name=name)

    (path,) = (path for path in out.iterdir() if not path.name.startswith("."))
    assert "い" in "".join(parsed(path).itertext())
