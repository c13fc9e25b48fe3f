"""A SQLite file that may only be read can be asked, and asking changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fumikura.core.store.upgrading import open_database
from tests.simple_store import make_page, make_reading, read_all, start_run

#: For root nothing is read-only, unless it lays down what lets it pass.
_AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
_AS_OTHERS.append("--inh-caps=-dac_override,-dac_read_search")
QUESTIONS = ("query pages", "query characters な", "status", "failed", "text tale_001", "status --json")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a database of one page."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    engine = open_database(f"sqlite:///{folder / 'fumikura.db'}")
    start_run(engine, [make_page(1)])
    read_all(engine, make_reading("なり"))
    engine.dispose()
    yield folder
    folder.chmod(0o755)


def run_as_others(command: str, database: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from fumikura.cli.main import main; main()"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root can write everywhere, and setpriv, which takes that away, is not installed")
        program = [*_AS_OTHERS, *program]
    return subprocess.run(
        [*program, *command.split(), "--db", str(database)],
        env={},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lock(folder: Path) -> dict[str, bytes]:
    """Take away the right to write, and give what lies in the folder."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_read_only_database_answers(folder: Path, question: str) -> None:
    before = lock(folder)

    result = run_as_others(question, folder / "fumikura.db")

    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    assert contents(folder) == before


def test_a_writable_database_keeps_nothing_beside_it_after_a_question(folder: Path) -> None:
    before = contents(folder)

    result = run_as_others("query pages", folder / "fumikura.db")

    assert result.returncode == 0
    assert contents(folder) == before


def test_what_another_user_is_writing_is_read_too(folder: Path) -> None:
    writer = sqlite3.connect(folder / "fumikura.db")
    writer.execute("UPDATE page SET book = 'renamed'")
    writer.commit()  # into the log, where it stays while the writer is there
    lock(folder)

    result = run_as_others("query pages", folder / "fumikura.db")
    writer.close()

    assert "renamed" in result.stdout


def test_changes_that_cannot_be_taken_up_are_an_error_and_not_an_old_answer(folder: Path) -> None:
    writer = sqlite3.connect(folder / "fumikura.db")
    writer.execute("UPDATE page SET book = 'renamed'")
    writer.commit()
    copy = folder.parent / "copy"
    copy.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(folder / f"fumikura.db{ending}", copy)
    writer.close()
    lock(copy)

    result = run_as_others("query pages", copy / "fumikura.db")
    copy.chmod(0o755)

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "-wal" in result.stderr
    assert "copy" in result.stderr


def test_an_older_read_only_database_says_why_it_is_not_upgraded(folder: Path) -> None:
    with sqlite3.connect(folder / "fumikura.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    before = lock(folder)

    result = run_as_others("status", folder / "fumikura.db")

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "0000" in result.stderr
    assert "copy it" in result.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("command", ["retry", "cancel 1", "forget 1 --yes"])
def test_a_change_to_a_read_only_database_is_one_line(folder: Path, command: str) -> None:
    before = lock(folder)

    result = run_as_others(command, folder / "fumikura.db")

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "write" in result.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("command", ["status", "retry", "db upgrade", "doctor"])
def test_another_programs_file_stays_in_its_journal_mode(tmp_path: Path, command: str) -> None:
    file = tmp_path / "places.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE moz_places (id INTEGER)")
    connection.close()
    before = contents(tmp_path)

    result = run_as_others(command, file)

    assert result.returncode == 1
    assert contents(tmp_path) == before
