"""What the documents show as examples works on the samples that come with the project."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import fumikura
from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.store.upgrading import open_database
from tests.simple_store import read_all, start_run

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.ja.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Shown for the database that it asks.
QUERY = re.compile(r"^fumikura (query (?:characters|text|pages --text) [^#\n]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def folder_of_samples(tmp_path_factory: pytest.TempPathFactory, _migrated_sqlite: Path) -> Path:
    """A folder with samples/, and what was read of them in fumikura.db."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "samples").symlink_to(ROOT / "samples")
    shutil.copyfile(_migrated_sqlite, folder / "fumikura.db")
    pages = list_pages([str(folder / "samples")]).pages
    paths = [Path(page.archive, page.member) for page in pages]
    readings = [found for found in fumikura.read_images(paths) if isinstance(found, fumikura.Reading)]
    engine = open_database(f"sqlite:///{folder / 'fumikura.db'}")
    start_run(engine, pages)
    read_all(engine, *readings)
    engine.dispose()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("document", [*READMES, "docs/library.md"])
def test_the_examples_of_a_document_run(folder_of_samples: Path, document: str) -> None:
    script = "\n".join(BLOCK.findall((ROOT / document).read_text(encoding="utf-8")))
    command = [sys.executable, "-W", "error", "-X", "utf8", "-c", script]

    ran = subprocess.run(command, cwd=folder_of_samples, capture_output=True, encoding="utf-8", check=False)

    assert ran.stderr == ""
    assert ran.returncode == 0
    with fumikura.open_database(folder_of_samples / "fumikura.db") as opened:
        assert opened.reading("drawn_002").columns[0] in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("document", READMES)
def test_what_a_readme_asks_the_database_is_found_in_the_samples(
    folder_of_samples: Path, document: str
) -> None:
    shown = QUERY.findall((ROOT / document).read_text(encoding="utf-8"))
    where = ["--db", str(folder_of_samples / "fumikura.db"), "--json"]

    found = {query: CliRunner().invoke(main, [*shlex.split(query), *where]).stdout for query in shown}

    assert len(found) >= 4
    assert [query for query, hits in found.items() if not hits] == []


@pytest.mark.slow
def test_the_questions_of_the_document_on_queries_are_answered(folder_of_samples: Path) -> None:
    block = re.findall(r"^```\n(.*?)^```", (ROOT / "docs/query.md").read_text(encoding="utf-8"), re.M | re.S)[
        0
    ]
    where = ["--db", str(folder_of_samples / "fumikura.db")]

    for line in block.splitlines():
        asked = CliRunner().invoke(main, [*shlex.split(line, comments=True)[1:], *where])

        assert asked.exit_code == 0, f"{line}: {asked.output}"
        assert asked.stdout, line
