"""The documents: links lead somewhere, commands exist, and the repository speaks of the project alone."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click

from fumikura.cli.main import main

ROOT = Path(__file__).parents[1]

#: A block of code, or code within a line.
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^`?(?:\S*/)?fumikura ([a-z][^`\n]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def test_no_file_names_a_folder_of_somebodys_machine_or_a_package_index() -> None:
    # Put together from pieces, or this file would be the one that is found.
    folders = rf"(?<![\w.}}-])/(?:{'|'.join(('work', 'root', 'home'))})/"
    hosts = [re.escape(f"{name}.org") for name in ("pypi", "pythonhosted", "npmjs", "download.pytorch")]
    stray = re.compile("|".join([folders, *hosts]).encode())

    found = [
        f"{path.relative_to(ROOT)}: {hit.group().decode()}"
        for path in _files_of_the_repository()
        if (hit := stray.search(path.read_bytes()))
    ]

    assert found == []


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)} -> {target}"
        for document in _documents()
        for target in LINK.findall(document.read_text())
        if not target.startswith(("http://", "https://")) and not _leads_somewhere(document, target)
    ]

    assert broken == []


def test_every_command_that_a_document_shows_exists() -> None:
    shown = {(document.name, command) for document in _documents() for command in _commands(document)}

    unknown = [f"{name}: {command}" for name, command in shown if not _exists(command)]

    assert shown
    assert unknown == []


def test_no_document_waits_for_a_figure() -> None:
    waiting = [path.relative_to(ROOT).as_posix() for path in _documents() if "FIGURE" in path.read_text()]

    assert waiting == []


def _files_of_the_repository() -> list[Path]:
    """Tracked files, and new ones that git does not ignore."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def _documents() -> list[Path]:
    return [path for path in _files_of_the_repository() if path.suffix == ".md"]


def _commands(document: Path) -> list[str]:
    text = document.read_text().replace("\\\n", " ")  # a long command goes on in the next line
    return [command for code in CODE.findall(text) for command in COMMAND.findall(code)]


def _leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = document.parent / name if name else document
    if not anchor:
        return path.exists()
    headings = HEADING.findall(path.read_text())
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _exists(command: str) -> bool:
    """Whether the subcommands and options of a shown command line are real; its values are not looked at."""
    found: click.Command = main
    for word in shlex.split(command, comments=True):
        if word.startswith("-"):
            options = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
            if word.partition("=")[0] not in options | {"--help"}:
                return False
        elif isinstance(found, click.Group):
            subcommand = found.get_command(click.Context(found), word)
            if subcommand is None:
                return False
            found = subcommand
    return True
