"""The fumikura command as a whole: help, errors, exit codes, start-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fumikura.cli.main import SECTIONS, main

COMMANDS = [name for names in SECTIONS.values() for name in names]

#: What a command that only looks into the database has no use for.
HEAVY = {"torch", "torchvision", "numpy", "PIL", "celery", "kombu", "alembic", "matplotlib"}


def run_fumikura(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from fumikura.cli.main import main; main()", *arguments]
    return subprocess.run(
        command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False
    )


def leaf_commands() -> list[tuple[str, ...]]:
    context = click.Context(main)
    leaves: list[tuple[str, ...]] = []
    for name in COMMANDS:
        found = main.get_command(context, name)
        inner = list(found.commands) if isinstance(found, click.Group) else [None]
        leaves += [(name,) if sub is None else (name, sub) for sub in inner]
    return leaves


@pytest.mark.parametrize("command", leaf_commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])

    assert result.exit_code == 0
    assert f"fumikura {' '.join(command)}" in result.output.partition("Example:")[2]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", [(), *leaf_commands()], ids=" ".join)
def test_help_fits_the_terminal(command: tuple[str, ...], width: int) -> None:
    result = CliRunner().invoke(main, [*command, "--help"], terminal_width=width)

    assert max(map(len, result.output.splitlines())) <= width


def test_help_lists_every_command_with_one_line() -> None:
    result = CliRunner().invoke(main, ["--help"])

    for name in COMMANDS:
        assert f"\n  {name} " in result.output
    assert "..." not in result.output.partition("Commands")[2]


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["reed"])

    assert result.exit_code == 2


def test_an_error_of_ours_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--db", str(tmp_path / "none.db")])

    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "none.db" in result.stderr
    assert "fumikura run" in result.stderr


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--debug", "status", "--db", str(tmp_path / "none.db")])

    assert result.exit_code == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("show", "\udcff"), "is no text in UTF-8"),
        (("query", "characters", "\udcff"), "is no text in UTF-8"),
        (("query", "pages", "--limit", "9" * 20), "give a smaller number"),
    ],
)
def test_what_no_database_takes_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    database = str(tmp_path / "pages.db")
    CliRunner().invoke(main, ["db", "upgrade", "--db", database])

    result = CliRunner().invoke(main, [*arguments, "--db", database])

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert complaint in result.stderr


def test_a_wrong_variable_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["status"], env={"FUMIKURA_WORKERS": "two"})

    assert result.exit_code == 2
    assert "FUMIKURA_WORKERS" in result.stderr


def test_asking_does_not_make_a_database(tmp_path: Path) -> None:
    path = tmp_path / "none.db"

    for command in (["status"], ["failed"], ["retry"], ["query", "characters", "人"], ["show", "page"]):
        CliRunner().invoke(main, [*command, "--db", str(path)])

    assert not path.exists()


def test_status_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    upgraded = run_fumikura("db", "upgrade", folder=tmp_path)
    program = (
        "import sys\n"
        "from fumikura.cli.main import main\n"
        "main(['status'], standalone_mode=False)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )

    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )

    assert upgraded.returncode == 0
    assert HEAVY.isdisjoint(result.stdout.splitlines()[-1].split())
