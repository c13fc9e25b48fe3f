"""This module opens a database for those who only ask what was read: a missing one is not made."""

from __future__ import annotations

from pathlib import Path

from fumikura.core.errors import DatabaseError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine, connect
from fumikura.core.store.upgrading import open_database


def open_existing(settings: Settings, *, only_reads: bool = True) -> Engine:
    """Open the database, which must be there: asking in the wrong folder must not leave an empty file.

    Args:
        only_reads: whether it is only asked; a SQLite file then need not be writable.

    Raises:
        DatabaseError: there is none, it is another program's, unreachable, or of another version.
    """
    if (path := missing_file(settings)) is not None:
        raise DatabaseError(
            f"there is no database {path}; correct its path, or read something into it with `fumikura run`"
        )
    return open_database(settings.database_url, may_be_empty=False, only_reads=only_reads)


def missing_file(settings: Settings) -> Path | None:
    """Give the SQLite file that the settings name, if it is still to be made."""
    path = sqlite_file(settings)
    return path if path is not None and not path.exists() else None


def sqlite_file(settings: Settings) -> Path | None:
    """Give the file of a SQLite database; None for PostgreSQL."""
    url = connect(settings.database_url).url
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
