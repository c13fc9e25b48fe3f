"""The terminal is not ours: streams that are closed, full, gone, narrow or without kanji."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fumikura.core.page import PageReference
from fumikura.core.store.upgrading import open_database
from tests.simple_store import make_reading, read_all, start_run

PROGRAM = (sys.executable, "-c", "from fumikura.cli.main import main; main()")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a page whose name and text are Japanese."""
    path = tmp_path_factory.mktemp("kanji") / "fumikura.db"
    engine = open_database(f"sqlite:///{path}")
    start_run(engine, [PageReference("/scans", "頁é.jpg", "d" * 64, size_bytes=1, book="本")])
    read_all(engine, make_reading("源氏"))
    engine.dispose()
    return path


def run_shell(
    arguments: str, redirection: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run fumikura as a shell does, with its streams redirected."""
    program = f'"{PROGRAM[0]}" -c "{PROGRAM[2]}"'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{program} {arguments} {redirection}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "redirection"),
    [
        ("query pages", ">&-"),
        ("status", "2>&-"),
        ("query pages --json", "<&- >&- 2>&-"),
        ("failed", "2>/dev/full"),
        ("query pages", "| true"),
        ("query pages --json", "2>&1 | true"),
        ("--help", "| true"),
        ("run --help", ">&- 2>&-"),
    ],
)
def test_a_stream_that_nobody_receives_is_no_failure(database: Path, command: str, redirection: str) -> None:
    before = database.read_bytes()
    where = "" if command.endswith("--help") else f"--db {database}"

    result = run_shell(f"{command} {where}", redirection, database.parent)

    assert (result.returncode, result.stderr.count(b"Traceback")) == (0, 0)
    # A file that is opened where a stream was closed gets the stream's number, and what is said into it.
    assert database.read_bytes() == before


@pytest.mark.parametrize("command", ["query pages", "query pages --json", "status"])
def test_results_that_a_full_disk_lost_are_an_error(database: Path, command: str) -> None:
    result = run_shell(f"{command} --db {database}", ">/dev/full", database.parent)

    lines = result.stderr.decode().splitlines()
    assert result.returncode == 1
    assert [line for line in lines if "standard output" in line and "No space left" in line] == lines[-1:]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "ascii"])
@pytest.mark.parametrize("command", ["query pages", "query characters 源氏", "--help", "show 頁"])
def test_no_encoding_is_an_error(database: Path, encoding: str, command: str) -> None:
    where = "" if command == "--help" else f"--db {database}"

    result = run_shell(f"{command} {where}", "", database.parent, PYTHONIOENCODING=encoding)

    output = (result.stdout + result.stderr).decode(encoding)
    assert "Traceback" not in output
    assert "UTF-8; correct" not in output
    assert result.returncode in (0, 1)  # there is no image to show


def test_what_an_encoding_lacks_comes_as_an_escape(database: Path) -> None:
    result = run_shell(f"query pages --db {database}", "", database.parent, PYTHONIOENCODING="cp932")

    table = result.stdout.decode("cp932")
    assert "頁\\xe9" in table
    assert "\\u2013" not in table  # the dash for what is not known has a plain stand-in


@pytest.mark.parametrize("encoding", ["cp932", "ascii", "utf-8"])
def test_json_is_the_same_in_every_encoding(database: Path, encoding: str) -> None:
    result = run_shell(f"query pages --json --db {database}", "", database.parent, PYTHONIOENCODING=encoding)

    assert json.loads(result.stdout.decode(encoding))["name"] == "頁é"


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLUMNS": "40"}, {"COLUMNS": "1"}, {"COLUMNS": "no number"}],
    ids=str,
)
def test_a_strange_terminal_still_gets_the_table(database: Path, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()

    with subprocess.Popen(
        [*PROGRAM, "query", "pages", "--db", str(database)],
        env={"PYTHONUTF8": "1", "TERM": "xterm", **environment},
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b"".join(_until_closed(ours))

    assert process.returncode == 0
    assert "頁" in shown.decode()
    if "COLUMNS" not in environment:
        assert b"\x1b[3" not in shown  # colour


def _until_closed(terminal: int) -> Iterator[bytes]:
    try:
        while data := os.read(terminal, 1024):
            yield data
    except OSError:
        pass  # Linux has no other way of saying that the program closed it
    finally:
        os.close(terminal)


def test_a_working_folder_that_was_deleted_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    result = subprocess.run(
        ["bash", "-c", f"cd gone && rmdir ../gone && '{PROGRAM[0]}' -P -c '{PROGRAM[2]}' status"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "folder" in result.stderr
    assert "Errno" not in result.stderr
