"""fumikura failed: show which pages could not be read, and why."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.output import counted, make_table, print_json, print_tables, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.failures import failures


@click.command()
@options.run_id
@options.settings("database")
@options.as_json
def command(settings: Settings, run_id: int | None, as_json: bool) -> None:
    """Show the pages that could not be read, and why.

    A `failed` page has something wrong with its image; mend it and run the archive again.
    A `quarantined` page ended the program that read it several times (the attempts);
    only `fumikura retry` tries it again. --json also tells archive and file.

    \b
    Example:
      fumikura failed
      fumikura failed --run 3 --json
    """
    found = failures(open_existing(settings), run_id)
    if as_json:
        for failure in found:
            print_json(failure)
    elif found:
        rows = [(one.name, one.book, one.status, one.attempts, one.reason) for one in found]
        print_tables(make_table("page", "book", "status", "attempts", "reason", rows=rows, numbers=[3]))
        say(f"{counted(len(found), 'page')}; `fumikura retry` or the same `fumikura run` tries again")
    else:
        say("no page failed")
