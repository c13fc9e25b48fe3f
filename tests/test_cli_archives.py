"""Each example that docs/formats.md shows of what can be read is run."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.lists import with_lists
from fumikura.core.archives.places import read_member
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import read_settings
from fumikura.core.store.saving import save_reading
from fumikura.core.store.upgrading import open_database
from tests.hostile import encode
from tests.iiif_library import VERSION_2, add_manifest, collection
from tests.simple_store import WORKER, claim_all, make_reading, start_run
from tests.test_frames import pdf_of, scan
from tests.test_mets import mets
from tests.web import Web

DOCUMENT = Path(__file__).parents[1] / "docs" / "formats.md"
#: How many pages each example reads here.
PAGES = {
    "fumikura run scan_001.jp2": 1,
    "fumikura run IMG_0001.heic": 1,
    "fumikura run scans/": 3,
    "fumikura run scans.zip": 4,
    "fumikura run book.pdf": 2,
    "fumikura run book.tif": 3,
    "fumikura run 'scans/*.zip'": 2,
    "fumikura run @list.txt": 5,
    "find . -name '*.pdf' | fumikura run -": 2,
    "fumikura run https://host/book.pdf": 2,
    "fumikura run 'https://host/iiif/book/manifest.json#1-20'": 20,
    "fumikura run https://host/iiif/collection.json": 3,
    "fumikura run mets.xml": 2,
    "fumikura run 'mets.xml#MAX'": 1,
}


def examples() -> list[str]:
    """The commands in the last column of the first table."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("## In")[2].partition("## Out")[0]
    cells = [re.split(r"(?<!\\)\|", line)[-2] for line in section.splitlines() if line.startswith("| ")]
    return [command.replace("\\|", "|") for cell in cells for command in re.findall("`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the examples name."""
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    heif.register_heif_opener()
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "scans" / "more").mkdir(parents=True)
    files = {
        "scan_001.jp2": encode(scan(0), "JPEG2000"),
        "IMG_0001.heic": encode(scan(1), "HEIF"),
        "scans/p2.webp": encode(scan(2), "WEBP"),
        "scans/p10.png": encode(scan(3), "PNG"),
        "scans/more/p1.jpg": encode(scan(4), "JPEG"),
        "scans/a.zip": zip_of({"a1.jpg": 5, "a2.jpg": 6}),
        "scans.zip": zip_of({"z/1.jpg": 7, "z/2.jpg": 8, "y/1.jpg": 9, "x.jpg": 10}),
        "book.pdf": pdf_of([scan(1), scan(2)]),
        "book.tif": encode(scan(11), "TIFF", save_all=True, append_images=[scan(12), scan(13)]),
        "list.txt": b"scans.zip\nscan_001.jp2\n",
        "mets.xml": mets({"MASTER": ["p/1.jpg", "p/2.jpg"], "MAX": ["p/3.jpg"]}).encode(),
    }
    files |= {f"p/{number}.jpg": encode(scan(20 + number), "JPEG") for number in (1, 2, 3)}
    (folder / "p").mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def zip_of(pages: dict[str, int]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, number in pages.items():
            archive.writestr(name, encode(scan(number), "JPEG"))
    return packed.getvalue()


@pytest.fixture
def host(web: Web, shelf: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Web:
    """A library's server, and the settings that let a command ask it."""
    monkeypatch.chdir(shelf)
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("FUMIKURA_ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setenv("FUMIKURA_REQUESTS_PER_SECOND", "1000")
    web.files["/book.pdf"] = (shelf / "book.pdf").read_bytes()
    add_manifest(web, [scan(number) for number in range(21)], name="/iiif/book/manifest.json")
    named = [
        add_manifest(web, [scan(1), scan(2)], name="/iiif/old/manifest.json", version=VERSION_2, size="full"),
        add_manifest(web, [scan(3)], name="/iiif/new/manifest.json"),
    ]
    web.files["/iiif/collection.json"] = collection("", *(("Manifest", url) for url in named))
    return web


def test_the_document_shows_what_is_run_here() -> None:
    assert sorted(examples()) == sorted(PAGES)


@pytest.mark.parametrize("example", PAGES)
def test_what_the_document_shows_finds_its_pages_and_their_pixels(host: Web, example: str) -> None:
    before, _, command = example.replace("https://host", host.url).rpartition(" | ")
    told = subprocess.run(shlex.split(before), check=True, capture_output=True).stdout if before else b""
    program, verb, *archives = shlex.split(command)
    limits = read_settings().limits
    pages = list_pages(with_lists(archives, io.BytesIO(told)), limits=limits).pages
    scans = [read_member(page.archive, page.member, digest=page.digest, limits=limits) for page in pages]
    read_beforehand(pages)

    result = CliRunner().invoke(main, [verb, *archives, "--json"], input=told)

    assert program == "fumikura"
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    counted = {name: figures[name] for name in ("pages", "done", "failed", "skipped")}
    n_pages = PAGES[example]
    assert counted == {"pages": n_pages, "done": 0, "failed": 0, "skipped": n_pages}
    shown = [decode(data, long_side=None, max_pixels=10**5) for data in scans]
    assert [(image.width, image.height) for image in shown] == [(60, 80)] * n_pages


def read_beforehand(pages: Sequence[PageReference]) -> None:
    """Save a reading for each page, so that the command finds them done, and needs no workers."""
    settings = read_settings()
    recipe = recipe_of(settings)
    engine = open_database(settings.database_url)
    start_run(engine, pages, recipe=recipe)
    for claimed in claim_all(engine, recipe=recipe):
        assert save_reading(engine, claimed.reading_id, make_reading("い"), worker=WORKER)
    engine.dispose()
