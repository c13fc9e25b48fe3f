"""The formats of libraries and readers: each is read back, by its schema or by a program that knows it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image

from fumikura.core.errors import UsageError
from fumikura.core.export.exporting import export
from fumikura.core.export.formats import load_format
from fumikura.core.page import Box, Character, PageReference, Reading
from fumikura.core.scoring.metrics import score
from fumikura.core.scoring.truth import load_truth
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from tests.handmade import page_png
from tests.simple_store import make_page, make_reading, read_all, start_run
from tests.simple_xml import parsed

READING = make_reading("いろ𛀂", "気", "ゞ＆<")


@pytest.fixture
def read(engine: Engine) -> Engine:
    """A database with tale_001, three columns, and tale_002, which is blank."""
    start_run(engine, [make_page(1), make_page(2)])
    read_all(engine, READING, make_reading())
    return engine


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


@pytest.mark.parametrize("name", ["alto", "page"])
@pytest.mark.filterwarnings("ignore")
def test_kraken_opens_it(read: Engine, out: Path, name: str) -> None:
    xml = pytest.importorskip("kraken.lib.xml", reason="kraken is not installed")
    export(read, Selection(), out, format_name=name)

    page = xml.XMLPage(out / "tale_001.xml")
    lines = list(page.get_sorted_lines())

    assert [line.text for line in lines] == ["いろ𛀂", "気", "ゞ＆<"]
    assert tuple(map(tuple, lines[0].baseline)) == ((295, 0), (295, 30))


def scanned(engine: Engine, folder: Path, *, kind: str = "PNG") -> Image.Image:
    """Read one page of a folder, with columns of unequal heights; gives its scan."""
    image = Image.fromarray(np.full((900, 600, 3), 250, np.uint8))
    image.paste((20, 10, 0), (500, 100, 540, 500))
    folder.mkdir()
    path = folder / f"tale_001.{kind.lower()}"
    image.save(path, kind)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    start_run(engine, [PageReference(str(folder), path.name, digest, 1, "tale")])
    places = [("い", 500, 100, 40), ("ろ", 505, 150, 70), ("𛀂", 500, 290, 30)]
    places += [("気", 400, 100, 60), ("ゞ", 400, 180, 30), ("た", 300, 100, 40)]
    characters = [
        Character(Box(x, y, 40, height), label, 0.9, column_number=(540 - x) // 100)
        for label, x, y, height in places
    ]
    read_all(engine, Reading(np.zeros((2, 2), bool), tuple(characters), width=600, height=900))
    return image


COLUMNS = ["いろ𛀂", "気ゞ", "た"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_pdf_shows_the_scan_and_knows_its_text(
    engine: Engine, tmp_path: Path, out: Path, kind: str
) -> None:
    scan = scanned(engine, tmp_path / "scans", kind=kind)

    exported = export(engine, Selection(), out, format_name="pdf")

    assert (exported.n_pages, exported.n_written, exported.left_out) == (1, 1, [])
    with pypdfium2.PdfDocument(out / "tale.pdf") as document:
        page = document[0]
        assert page.get_size() == (600 * 72 / 300, 900 * 72 / 300)
        shown = np.asarray(page.render(scale=299.99 / 72).to_pil().convert("RGB"), int)
        assert np.abs(shown - np.asarray(scan, int)).mean() < 2
        text = page.get_textpage()
        # PDFium has no way yet to tell characters beyond U+FFFF; Poppler has.
        assert text.get_text_range().split() == ["いろ", *COLUMNS[1:]]
        (place,) = (one for one in range(text.count_chars()) if text.get_text_range(one, 1) == "ろ")
        left, bottom, right, top = (side * 300 / 72 for side in text.get_charbox(place, loose=True))
        text.close()
    # Its column's breadth, and its height to the head of the next.
    assert (left, 900 - top, right, 900 - bottom) == pytest.approx((500, 150, 545, 290), abs=1)


def test_a_pdf_keeps_a_jpeg_to_the_byte_and_names_its_pages(
    engine: Engine, tmp_path: Path, out: Path
) -> None:
    scanned(engine, tmp_path / "scans", kind="JPEG")

    export(engine, Selection(), out, format_name="pdf")

    with pikepdf.open(out / "tale.pdf") as pdf, pdf.open_outline() as outline:
        assert not pdf.check_pdf_syntax()
        kept = pdf.pages[0].Resources.XObject.Scan.read_raw_bytes()
        assert [item.title for item in outline.root] == ["tale_001"]
    assert kept == (tmp_path / "scans" / "tale_001.jpeg").read_bytes()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils are not installed")
def test_pdftotext_gives_the_columns_in_order(engine: Engine, tmp_path: Path, out: Path) -> None:
    scanned(engine, tmp_path / "scans")

    export(engine, Selection(), out, format_name="pdf", extent="page")

    for options in ([], ["-raw"]):
        command = ["pdftotext", *options, str(out / "tale_001.pdf"), "-"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert told.split() == COLUMNS


def test_a_pdf_of_more_pages_than_are_held_at_once_has_them_all(
    engine: Engine, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.export.pdf._PAGES_A_PART", 2)
    (tmp_path / "scans").mkdir()
    pages = []
    for number in range(5):
        data = page_png(number)
        (tmp_path / "scans" / f"{number}.png").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        pages.append(PageReference(str(tmp_path / "scans"), f"{number}.png", digest, 1, "book"))
    start_run(engine, pages)
    read_all(engine, *(make_reading(label) for label in "いろはにほ"))

    export(engine, Selection(), out, format_name="pdf")

    with pypdfium2.PdfDocument(out / "book.pdf") as document:
        texts = [page.get_textpage().get_text_range().strip() for page in document]
    assert texts == list("いろはにほ")


def test_a_book_whose_scan_is_gone_is_left_out_and_named(read: Engine, out: Path) -> None:
    start_run(read, [make_page(5, book="other")])
    read_all(read, make_reading("い"))

    exported = export(read, Selection(), out, format_name="pdf")

    assert [name for name, _ in exported.left_out] == ["other", "tale"]
    assert (exported.n_pages, exported.n_written) == (0, 0)
    assert not list(out.glob("*.pdf"))


@pytest.mark.parametrize(("name", "package"), [("pdf", "pikepdf"), ("docx", "docx"), ("parquet", "pyarrow")])
def test_a_format_whose_package_is_missing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in (name, "glyphless_font"):
        monkeypatch.delitem(sys.modules, f"fumikura.core.export.{module}", raising=False)

    with pytest.raises(UsageError, match=rf"pip install 'fumikura\[{name}\]'$"):
        load_format(name)
