"""fumikura retry: queue failed and quarantined pages again."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.language import sentences
from fumikura.cli.output import counted, print_json, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.queries import retry


@click.command()
@click.argument("page", required=False)
@options.run_id
@click.option(
    "--reason",
    metavar="TEXT",
    help="Only pages whose reason contains this; … stands for anything, as in what `status` shows.",
)
@options.settings("database")
@options.as_json
def command(
    settings: Settings, page: str | None, run_id: int | None, reason: str | None, as_json: bool
) -> None:
    """Queue failed and quarantined pages again.

    All of them, those of a run or with a reason, or one PAGE. They wait in the database:
    workers of a cluster take them from there; on one
    machine, give the same `fumikura run` command again. A failed page is tried again by
    `run` in any case, a quarantined one only after this command. Pages whose worker was
    lost are queued too, once their lease has run out: live workers do so by themselves.

    \b
    Example:
      fumikura retry
      fumikura retry --run 3
      fumikura retry --reason "is no longer in"
      fumikura retry 200010454_00016_1
    """
    n_pages = retry(open_existing(settings, only_reads=False), run_id=run_id, page=page, reason=reason)
    if as_json:
        print_json({"queued": n_pages})
    after = "the same `fumikura run` as before reads them, or a worker" if n_pages else ""
    say(sentences(f"{counted(n_pages, 'page')} queued again", after))
