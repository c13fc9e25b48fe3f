"""fumikura db: keep the database up to date."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.output import say
from fumikura.core.settings import Settings


@click.group()
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

    upgrading.upgrade(settings.database_url)
    say("the database is up to date")
