"""fumikura text: what was read, as text."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from fumikura.cli import options
from fumikura.cli.export import export_with_progress
from fumikura.cli.output import counted, print_json, printable, put, say
from fumikura.cli.selection import about_newest, or_newest_run, selected, told, unsure
from fumikura.core.errors import UsageError
from fumikura.core.export.plain_text import page_text
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.read_pages import Selection, find_selection, stream_pages


@click.command()
@click.argument("what", required=False, metavar="[PAGE|BOOK|RUN]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a file a page there instead, as `fumikura export --format txt` does.",
)
@unsure
@selected
@options.settings("database")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    what: str | None,
    selection: Selection,
    output: Path | None,
    unsure_below: float | None,
    as_json: bool,
) -> None:
    """Print what was read, a line for each column, the rightmost first, and an empty line between leaves.

    Furigana and what stands in the margin are left out; `fumikura export --format koji` writes them too.

    Of a page, a book or a run (its number, see `fumikura status`); without a name, of the newest
    run alone. Where there are several pages, a line `# PAGE` stands above each.

    \b
    Example:
      fumikura text
      fumikura text 200010454_00016_1 --unsure 0.5
      fumikura text 200010454 -o texts/
    """
    engine = open_existing(settings)
    given = selection if what is None else _named(engine, what, selection)
    selection = or_newest_run(engine, given)
    if output is not None:
        exported = export_with_progress(
            settings, given, output, format_name="txt", unsure_below=unsure_below, as_json=as_json
        )
        ctx.exit(3 if exported.left_out else 0)
    _print(engine, selection, unsure_below=unsure_below, as_json=as_json)
    if not as_json and (others := about_newest(given, selection)):
        say(others)


def _named(engine: Engine, what: str, selection: Selection) -> Selection:
    """Add to a selection what a name stands for."""
    found = find_selection(engine, what)
    named = {one.name: getattr(found, one.name) for one in fields(found)}
    given = {one.name: getattr(selection, one.name) for one in fields(selection)}
    twice = [name for name in named if named[name] is not None and given[name] is not None]
    if twice:
        raise UsageError(f"{what!r} is a {twice[0].removesuffix('_id')}, and another is given; leave one out")
    return Selection(**{name: given[name] if named[name] is None else named[name] for name in named})


def _print(engine: Engine, selection: Selection, *, unsure_below: float | None, as_json: bool) -> None:
    n_pages = 0
    for page in stream_pages(engine, selection, alternatives=False):
        n_pages += 1
        text = page_text(page, unsure_below=unsure_below)
        if as_json:
            columns = [line for line in text.splitlines() if line]  # an empty one parts two leaves
            print_json({"page": page.name, "book": page.book, "text": text, "columns": columns})
        elif selection.page is None:
            put(f"# {printable(page.name)}\n{text}")
        elif text:
            put(text.removesuffix("\n"))
    if not n_pages:
        what = told(selection)
        say(f"nothing was read of {what}; `fumikura status` tells how far it is")
    elif selection.page is None:
        what = told(selection)
        say(f"{what}: {counted(n_pages, 'page')}")
