"""Exports to look at: a IIIF manifest for viewers, pages for a browser, and Word documents."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import pytest
from lxml import etree
from PIL import Image

from fumikura.core.archives.listing import list_pages
from fumikura.core.errors import UsageError
from fumikura.core.export.exporting import export
from fumikura.core.export.formats import Style
from fumikura.core.limits import Limits
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from tests.handmade import page_png, write_zip
from tests.iiif_library import VERSION_2, VERSION_3, add_manifest
from tests.simple_store import make_reading, read_all, start_run
from tests.web import Web

BASE = "https://example.org/iiif"
HERE = Limits(allow_private_addresses=True, requests_per_second=1000)


@pytest.fixture
def read(engine: Engine, tmp_path: Path) -> Engine:
    """A database with two pages of a zip: three columns, and a blank one."""
    write_zip(tmp_path / "tale.zip", 2)
    start_run(engine, list_pages([str(tmp_path / "tale.zip")]).pages)
    read_all(engine, make_reading("いろ𛀂", "気", "ゞ＆<"), make_reading())
    return engine


def manifest_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def is_jpeg(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "JPEG"


def test_a_manifest_has_a_canvas_a_page_and_an_annotation_a_column(read: Engine, out: Path) -> None:
    exported = export(read, Selection(), out, format_name="iiif", style=Style(base_url=f"{BASE}/"))

    manifest = manifest_in(out / "book")
    first, blank = manifest["items"]
    image = first["items"][0]["items"][0]["body"]
    (text,) = first["annotations"]

    assert (exported.n_written, exported.n_pages, exported.left_out) == (5, 2, [])
    assert manifest["id"] == f"{BASE}/book/manifest.json"
    assert (first["width"], first["height"]) == (300, 200)
    assert [(one["body"]["value"], one["target"].partition("#xywh=")[2]) for one in text["items"]] == [
        ("いろ𛀂", "290,0,10,30"),
        ("気", "270,0,10,10"),
        ("ゞ＆<", "250,0,10,30"),
    ]
    assert {one["target"].partition("#")[0] for one in text["items"]} == {first["id"]}
    assert blank["annotations"][0]["items"] == []
    for shown in (image, *first["thumbnail"]):
        path = out / shown["id"].removeprefix(f"{BASE}/")
        assert is_jpeg(path)
        assert shown["width"] / shown["height"] == pytest.approx(300 / 200, abs=0.01)


@pytest.mark.parametrize(("version", "size"), [(VERSION_2, "2400,"), (VERSION_3, "2400,1600")])
def test_what_came_from_a_library_lies_on_its_canvas_and_shows_its_image(
    engine: Engine, out: Path, web: Web, version: int, size: str
) -> None:
    scan = Image.open(BytesIO(page_png(1)))
    url = add_manifest(web, [scan], version=version, full=(6000, 4000), size=size)
    start_run(engine, list_pages([url], limits=HERE).pages)
    read_all(engine, make_reading("いろ"))

    export(engine, Selection(), out, format_name="iiif", style=Style(base_url=BASE, limits=HERE))

    (canvas,) = manifest_in(out / "book")["items"]
    image = canvas["items"][0]["items"][0]["body"]
    service = image["service"][0]
    assert (canvas["id"], canvas["width"], canvas["height"]) == (f"{web.url}/book/canvas/1", 6000, 4000)
    assert canvas["label"] == {"none": ["1丁"]}
    assert canvas["annotations"][0]["items"][0]["target"] == f"{canvas['id']}#xywh=5800,0,200,400"
    assert service.get("id", service.get("@id")) == f"{web.url}/book/image%2F1"
    assert service.get("type", service.get("@type")) == f"ImageService{version}"
    assert not any("full" in path for _, path in web.asked)


@pytest.mark.parametrize(
    ("format_name", "url", "problem"),
    [
        ("iiif", None, "say where they will lie, by --base-url"),
        ("iiif", "folder", "is no plain address of http or https"),
        ("iiif", "https://host/a?b=1", "is no plain address of http or https"),
        ("txt", BASE, "means nothing for txt"),
    ],
)
def test_the_base_url_is_checked_before_anything_is_written(
    read: Engine, out: Path, format_name: str, url: str | None, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        export(read, Selection(), out, format_name=format_name, style=Style(base_url=url))

    assert not out.exists()


class _Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("p", "span", "h1", "h2") and data.strip():
            self.texts.append(data.strip())


def test_pages_for_a_browser_show_each_scan_beside_its_text(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="html", style=Style(unsure_below=0.7))

    text = (out / "book" / "index.html").read_text(encoding="utf-8")
    seen = _Seen(text)
    images = [values["src"] for tag, values in seen.tags if tag == "img"]

    assert len(images) == 2
    assert all(is_jpeg(out / "book" / str(src)) for src in images)
    assert "".join(seen.texts[2:]).startswith("いろ𛀂気ゞ＆<")
    assert not re.search(r"(?i)<script|https?://|\bon\w+=", text)


def test_a_name_is_never_more_than_a_text(engine: Engine, tmp_path: Path, out: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "a&<b>'.png").write_bytes(page_png(1))
    (page,) = list_pages([str(tmp_path / "shelf")]).pages
    start_run(engine, [replace(page, book="<script>alert(1)</script>\x07")])
    read_all(engine, make_reading("い"))

    for name in ("html", "docx", "iiif"):
        base_url = BASE if name == "iiif" else None
        export(engine, Selection(), out / name, format_name=name, style=Style(base_url=base_url))

    (html,) = (out / "html").glob("*/index.html")
    seen = _Seen(html.read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert "a&<b>'" in seen.texts
    (document,) = (out / "docx").glob("*.docx")
    assert docx.Document(str(document)).core_properties.title.startswith("<script>")


def test_a_word_document_runs_from_top_to_bottom(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="docx", style=Style(unsure_below=0.6))

    document = docx.Document(str(out / "book.docx"))
    texts = [paragraph.text for paragraph in document.paragraphs]
    with zipfile.ZipFile(out / "book.docx") as parts:
        xml = etree.fromstring(parts.read("word/document.xml"))

    assert [text for text in texts if not text.isascii()] == [
        "〔い？〕〔ろ？〕〔𛀂？〕",
        "〔気？〕",
        "〔ゞ？〕〔＆？〕〔<？〕",
    ]
    direction = xml.find(".//{*}sectPr/{*}textDirection")
    assert direction.get("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}val") == "tbRl"


def test_an_export_of_several_files_a_book_is_kept_and_written_anew_whole(read: Engine, out: Path) -> None:
    style = Style(base_url=BASE)
    first = export(read, Selection(), out, format_name="iiif", style=style)
    image = next((out / "book" / "images").iterdir())

    assert export(read, Selection(), out, format_name="iiif", style=style).n_kept == 1
    image.unlink()
    again = export(read, Selection(), out, format_name="iiif", style=style)

    assert again.n_written == first.n_written
    assert image.exists()
