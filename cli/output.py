"""The commands print through this: results to stdout, messages for people to stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click
from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table

from fumikura.cli.language import Told, enumerated, translated
from fumikura.cli.terminal import can_show, is_utf8
from fumikura.core.counting import counted as counted  # messages of all layers count alike

#: Columns of a table that goes to a file or a pipe, where nothing should be folded.
_WIDE = 500
_NARROW = 40
#: Pages that a message names.
_NAMED = 5
#: Control characters as Unicode's pictures of them; a line break in a message of ours stays one.
_CONTROLS = {code: 0x2400 + code for code in range(32) if code != ord("\n")} | dict.fromkeys(
    range(127, 160), "�"
)


def say(message: str) -> None:
    """Tell a person something, in their language: on stderr, so that stdout holds results only."""
    click.echo(printable(translated(message)), file=sys.stderr)


def put(text: object) -> None:
    """Print a line of results that is no table."""
    click.echo(str(text), file=sys.stdout)


def say_unknown(pages: Sequence[str]) -> None:
    """Name the pages that are left out because nothing is known of them, or some of them."""
    if pages:
        n_more = len(pages) - _NAMED
        names = enumerated(*map(Told, pages[:_NAMED]), f"and {n_more:,} more" if n_more > 0 else "")
        say(f"{counted(len(pages), 'page')} left out, of which nothing is known: {names}")


def printable(text: str) -> str:
    """Put pictures in the place of control characters, which in a file name could steer a terminal."""
    return text.translate(_CONTROLS)


def print_json(value: Any) -> None:
    """Print one JSON object on one line of stdout; dataclasses become objects, times ISO 8601.

    JSON is UTF-8 (RFC 8259); where stdout is something else, escapes are read alike everywhere.
    """
    put(json.dumps(value, ensure_ascii=not is_utf8(sys.stdout), default=_as_plain))


def print_tables(*tables: Table) -> None:
    """Print tables on stdout, as wide as the terminal; unfolded in a file or a pipe."""
    console = console_for(sys.stdout)
    for table in tables:
        console.print(table)
        console.print()


def make_table(
    *columns: str,
    rows: Iterable[Sequence[Any]],
    numbers: Iterable[int] = (),
    title: str = "",
    header: bool = True,
) -> Table:
    """Make a plain table; the columns whose places are in `numbers` stand to the right."""
    table = Table(
        box=box.SIMPLE_HEAD if header else None,
        title=translated(title) or None,
        title_justify="left",
        title_style="bold",
        show_header=header,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    right = set(numbers)
    for place, column in enumerate(columns):
        table.add_column(translated(column), justify="right" if place in right else "left", vertical="top")
    for row in rows:
        table.add_row(*(as_text(value) for value in row))
    return table


def console_for(stream: IO[str]) -> Console:
    """Make a console that neither colours numbers nor reads [brackets] in page names as markup."""
    is_free = not stream.isatty() and "COLUMNS" not in os.environ
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    # In a terminal that is narrower still, whole lines that the terminal folds say more than empty cells.
    console.width = _WIDE if is_free else max(console.width, _NARROW)
    return console


def as_text(value: Any) -> Any:
    """Write counts with thousands marks, ratios with three places, an en dash for what is not known."""
    if value is None:
        return shown_as("–", "-")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(value) if isinstance(value, str) else value


def shown_as(sign: str, plain: str) -> str:
    """Give a sign where stdout's encoding has it, else plain letters."""
    return sign if can_show(sign, sys.stdout) else plain


def waiting(text: str) -> Status:
    """Show that something takes its time, in a terminal on stderr."""
    spinner = "dots" if is_utf8(sys.stderr) else "line"
    return console_for(sys.stderr).status(translated(text), spinner=spinner)


def as_duration(seconds: float) -> str:
    """Write seconds as 1:02:03, or as 2:03 below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _as_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
