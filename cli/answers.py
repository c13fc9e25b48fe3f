"""The commands that list rows answer through this: as a table, as JSON lines or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar

import click
from rich.table import Table

from fumikura.cli.options import Function, with_options
from fumikura.cli.output import print_json, print_tables, put, say

T = TypeVar("T")
Form = Literal["table", "json", "csv"]


def listed_as(function: Function) -> Function:
    """Add --json and --csv; the command gets them as `form`."""
    added = [
        click.option("--json", "form", flag_value="json", help="One JSON object a line on stdout."),
        click.option("--csv", "form", flag_value="csv", help="CSV on stdout, with a header."),
    ]
    return with_options(added)(function)


def answer(
    found: Sequence[T], table_of: Callable[[Sequence[T]], Table], *, limit: int, form: Form | None
) -> None:
    """Print rows, dataclasses all of a kind; where people read them, say how many there are."""
    if form == "json":
        for one in found:
            print_json(one)
    elif form == "csv":
        if found:
            put(_as_csv(found))
    elif not found:
        say("nothing found")
    else:
        print_tables(table_of(found))
        say(f"the first {limit}; --limit shows more" if len(found) == limit else f"{len(found)} found")


def _as_csv(rows: Sequence[Any]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(rows[0])]
    table.writerow(names)
    table.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return text.getvalue().removesuffix("\n")


def _cell(value: Any) -> Any:
    """Write a value into one cell: boxes as x,y,width,height, several things with spaces between."""
    if is_dataclass(value) and not isinstance(value, type):
        return ",".join(str(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple | list):
        return " ".join(str(_cell(one)) for one in _flat(value))
    return value.isoformat() if hasattr(value, "isoformat") else value


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, tuple | list) else (value,)
