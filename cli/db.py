"""fumikura db: keep the database up to date."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.help_text import Group
from fumikura.cli.output import say
from fumikura.core.settings import Settings


@click.group(cls=Group)
def command() -> None:
    """Create the database's tables or bring them up to date."""


@command.command("upgrade")
@options.settings("database")
def upgrade(settings: Settings) -> None:
    """Create the tables, or bring them up to this version of fumikura.

    `run` does this by itself for its own SQLite file; a PostgreSQL database is upgraded only
    by this command, once, before the workers start.

    \b
    Example:
      fumikura db upgrade --db postgresql://db/scans
    """
    from fumikura.core.store import upgrading
    from fumikura.core.store.connecting import connect, describe
    from fumikura.core.store.tables import SCHEMA_REVISION

    before = upgrading.upgrade(settings.database_url)
    name = describe(connect(settings.database_url).url)
    if before is None:
        say(f"{name}: made, with tables of version {SCHEMA_REVISION}")
    elif before == SCHEMA_REVISION:
        say(f"{name}: up to date already, at version {before}")
    else:
        say(f"{name}: brought from version {before} to {SCHEMA_REVISION}")
