"""Opening the database for commands that only make sense where pages were read before."""

from __future__ import annotations

from pathlib import Path

from core.errors import DatabaseError
from core.settings import Settings
from core.store.session import Engine, connect, open_database


def open_existing(settings: Settings) -> Engine:
    """The database, which must be there: asking in the wrong folder must not leave an empty file.

    Raises:
        DatabaseError: there is none, it is unreachable, or of another version.
    """
    url = connect(settings.database_url).url
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise DatabaseError(
            f"there is no database {url.database};"
            " name it with --db, or read something first with `fumikura run`"
        )
    return open_database(settings.database_url)
