"""fumikura failed: show which pages could not be read, and why."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.language import sentences, translated
from fumikura.cli.output import counted, make_table, print_json, print_tables, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.failures import failures, n_replaced

#: Pages shown in a table; --json gives all.
_SHOWN = 50


@click.command()
@options.run_id
@options.limit(None, f"Pages shown.  [default: {_SHOWN}; with --json, all]")
@options.settings("database")
@options.as_json
def command(settings: Settings, run_id: int | None, limit: int | None, as_json: bool) -> None:
    """Show the pages that could not be read, and why.

    A `failed` page has something wrong with its image; mend it and run the archive again.
    A `quarantined` page ended the program that read it several times (the attempts);
    only `fumikura retry` tries it again. Files of equal bytes are one page, and all are named.
    --json also tells archive and file.

    \b
    Example:
      fumikura failed
      fumikura failed --run 3 --json
    """
    engine = open_existing(settings)
    if as_json:
        for failure in failures(engine, run_id, limit=limit):
            print_json(failure)
        return
    limit = limit or _SHOWN
    found = list(failures(engine, run_id, limit=limit + 1))
    rows = [
        (one.name, one.book, translated(one.status), one.attempts or None, translated(one.reason))
        for one in found[:limit]
    ]
    if rows:
        print_tables(make_table("page", "book", "status", "attempts", "reason", rows=rows, numbers=[3]))
    again = "`fumikura retry`, or the same `run` or `enqueue` as before, tries again"
    if len(found) > limit:
        say(sentences(f"the first {limit:,}; --limit shows more", again))
        return
    n_pages = len({one.page_id for one in found})
    files, pages = counted(len(rows), "file"), counted(n_pages, "page")
    named = f"{files} of {pages}, since their bytes are equal" if n_pages < len(rows) else files
    if rows:
        say(sentences(named, again))
    if gone := n_replaced(engine, run_id):
        say(f"{counted(gone, 'page')} failed before, and other bytes stand in its place by now")
    elif not rows:
        say("no page failed")
