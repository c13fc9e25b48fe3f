"""The formats of libraries and readers: each is read back, by its schema or by a program that knows it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from lxml import etree

from fumikura.core.export.exporting import export
from fumikura.core.page import PageReference
from fumikura.core.scoring.metrics import score
from fumikura.core.scoring.truth import load_truth
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from tests.simple_store import make_page, make_reading, read_all, start_run

READING = make_reading("いろ𛀂", "気", "ゞ＆<")


@pytest.fixture
def read(engine: Engine) -> Engine:
    """A database with tale_001, three columns, and tale_002, which is blank."""
    start_run(engine, [make_page(1), make_page(2)])
    read_all(engine, READING, make_reading())
    return engine


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def parsed(path: Path) -> etree._Element:
    return etree.parse(path).getroot()


@pytest.mark.parametrize("name", ["alto", "page"])
def test_what_was_exported_is_its_own_truth(read: Engine, out: Path, name: str) -> None:
    export(read, Selection(), out, format_name=name)

    truths = load_truth([out])
    scores = score(READING, truths["tale_001"])

    assert (scores.n_truth, scores.n_found, scores.n_matched) == (7, 7, 7)
    assert (scores.n_right, scores.n_right_as_written, scores.text_distance) == (7, 7, 0)
    assert [one.label for one in truths["tale_001"].boxes or ()] == list("いろ𛀂気ゞ＆<")
    assert truths["tale_001"].is_ordered
    assert [line.label for line in truths["tale_001"].lines or ()] == ["いろ𛀂", "気", "ゞ＆<"]
    assert truths["tale_002"].boxes == ()


def test_alto_tells_confidence_and_the_next_best(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="alto")

    root = parsed(out / "tale_001.xml")
    glyph = root.find(".//{*}Glyph")

    assert root.get("SCHEMAVERSION") == "4.4"
    assert root.findtext(".//{*}fileName") == "tale_001.jpg"
    assert dict(glyph.attrib) == {
        "ID": "glyph1_1",
        "CONTENT": "い",
        "GC": "0.5000",
        "HPOS": "290",
        "VPOS": "0",
        "WIDTH": "10",
        "HEIGHT": "10",
    }
    assert [(one.get("CONTENT"), one.get("VC")) for one in glyph] == [("ぬ", "0.2500"), ("め", "0.1250")]
    line = root.find(".//{*}TextLine")
    assert (line.get("BASELINE"), line.get("BASEDIRECTION")) == ("295,0 295,30", "ttb")


def test_page_xml_tells_confidence_and_the_next_best(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="page")

    root = parsed(out / "tale_001.xml")
    glyph = root.find(".//{*}Glyph")

    assert glyph.find("{*}Coords").get("points") == "290,0 300,0 300,10 290,10"
    told = [
        (one.get("index"), one.get("conf"), one.findtext("{*}Unicode"))
        for one in glyph.iterfind("{*}TextEquiv")
    ]
    assert told == [("0", "0.5000", "い"), ("1", "0.2500", "ぬ"), ("2", "0.1250", "め")]
    assert root.find(".//{*}TextRegion").get("textLineOrder") == "right-to-left"


@pytest.mark.parametrize("name", ["alto", "page"])
def test_no_name_of_a_file_breaks_xml(engine: Engine, out: Path, name: str) -> None:
    start_run(engine, [PageReference("/scans", "a\x01&\"<b'.png", "1" * 64, 1, "book")])
    read_all(engine, READING)

    export(engine, Selection(), out, format_name=name)

    (path,) = out.glob("*.xml")
    assert "a\N{REPLACEMENT CHARACTER}&\"<b'.png" in (*parsed(path).itertext(), *values_in(path))


def values_in(path: Path) -> list[str]:
    return [value for element in parsed(path).iter() for value in element.attrib.values()]


def test_page_xml_is_valid(read: Engine, out: Path) -> None:
    found = importlib.util.find_spec("ocrd_validators")
    if found is None or found.origin is None:
        pytest.skip("the schema comes with ocrd; pip install --no-deps ocrd")
    export(read, Selection(), out, format_name="page")
    schema = etree.XMLSchema(etree.parse(Path(found.origin).with_name("page.xsd")))

    for path in out.glob("*.xml"):
        schema.assertValid(etree.parse(path))


@pytest.mark.parametrize("name", ["alto", "page"])
@pytest.mark.filterwarnings("ignore")
def test_kraken_opens_it(read: Engine, out: Path, name: str) -> None:
    xml = pytest.importorskip("kraken.lib.xml", reason="kraken is not installed")
    export(read, Selection(), out, format_name=name)

    page = xml.XMLPage(out / "tale_001.xml")
    lines = list(page.get_sorted_lines())

    assert [line.text for line in lines] == ["いろ𛀂", "気", "ゞ＆<"]
    assert tuple(map(tuple, lines[0].baseline)) == ((295, 0), (295, 30))
