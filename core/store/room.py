"""This module asks a database whether it takes writes, and where what is written lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, exc

from fumikura.core.errors import DatabaseError
from fumikura.core.store.transactions import now, read_transaction, reporting, set_gate


@dataclass(frozen=True, slots=True)
class Room:
    """This is where a PostgreSQL database lies, and how much of it there is.

    Attributes:
        folder: of the server's data, if the server runs on this machine and tells; else None.
    """

    size_bytes: int
    folder: Path | None


def try_to_write(engine: Engine) -> None:
    """Write a row and take it back, so that nothing is left of it.

    Raises:
        DatabaseError: the database, or the role, may only read; the disk is full.
    """
    with reporting(engine), engine.connect() as connection:
        connection.execute(set_gate(connection, "doctor", now(connection)))
        connection.rollback()


def ask_for_room(engine: Engine) -> Room:
    """Ask a PostgreSQL server for the size of the database, and where its files lie.

    Raises:
        DatabaseError: it does not answer.
    """
    with read_transaction(engine) as connection:
        size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        # Through a socket: what answers at localhost may be a container with folders of its own.
        driver = connection.connection.driver_connection
        is_here = driver is not None and driver.info.host.startswith("/")
    return Room(size, _data_folder(engine) if is_here else None)


def _data_folder(engine: Engine) -> Path | None:
    try:
        with read_transaction(engine) as connection:
            folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one())
    except (DatabaseError, exc.DBAPIError):
        return None  # told to some roles only
    return folder if folder.is_dir() else None
