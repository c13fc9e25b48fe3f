"""Connect to a SQLite file or a PostgreSQL server, and set the connection up for many processes."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, NullPool, create_engine, event, exc, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from fumikura.core.errors import DatabaseError
from fumikura.core.store.bulk import send_copies, to_json
from fumikura.core.store.sqlite_reading import open_to_read

__all__ = ["Engine", "connect", "describe"]

#: How long a SQLite writer waits for another before it gives up.
LOCK_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
#: Connections that one process keeps, and how many more it may have for a moment: a worker claims, saves
#: and renews its leases at the same time.
KEPT_CONNECTIONS = 2
MORE_CONNECTIONS = 1
#: A connection that rested for longer is tried before it is used again.
RESTED_S = 0.01
_RESTS_SINCE_S = "fumikura rests since"
#: A PostgreSQL session that does nothing for so long inside a transaction is ended: a machine that freezes
#: there would keep its locks.
IDLE_TRANSACTION_S = 15


def connect(url: str, *, only_reads: bool = False) -> Engine:
    """Make an engine for a database URL; nothing is opened yet.

    Args:
        only_reads: whether a SQLite file is asked alone, which needs no right to write.

    Raises:
        DatabaseError: the URL is none, names another kind of database or a file in a folder that is not
            there, or the driver is missing.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        folder = Path(parsed.database or "").parent
        if not folder.is_dir():
            raise DatabaseError(f"there is no folder {folder} for the database; make it first")
        if only_reads:
            return _reading(parsed)
        engine = create_engine(parsed, json_serializer=to_json, connect_args={"timeout": LOCK_TIMEOUT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "client_encoding": "utf8",
        "options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_S}s",
        # What was prepared in one session of the server is unknown in the next one that a pooler gives; and a
        # plan that is kept for all values uses no index of the few rows in one status.
        "prepare_threshold": None,
    }
    arguments = {name: value for name, value in arguments.items() if name not in parsed.query}
    pool = {"pool_size": KEPT_CONNECTIONS, "max_overflow": MORE_CONNECTIONS, "pool_use_lifo": True}
    try:
        engine = create_engine(parsed, json_serializer=to_json, connect_args=arguments, **pool)
    except ImportError as error:
        raise DatabaseError(
            "PostgreSQL needs its driver; install it with `pip install 'fumikura[postgres]'`"
        ) from error
    event.listen(engine, "do_connect", _connect_through_poolers)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", partial(_try_rested, engine.dialect))
    send_copies(engine)
    return engine


def _reading(url: URL) -> Engine:
    """Make an engine that reads a SQLite file; how it may be opened is found out for each transaction."""
    file = Path(url.database or "")

    def open_now() -> sqlite3.Connection:
        connection = open_to_read(file, timeout_s=LOCK_TIMEOUT_S)
        connection.isolation_level = None
        return connection

    engine = create_engine(url, json_serializer=to_json, creator=open_now, poolclass=NullPool)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def describe(url: str | URL) -> str:
    """Write the URL as people may see it: without password and options."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)


def _note_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE_S] = time.monotonic()


def _try_rested(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _taker: object
) -> None:
    """Try a connection that nobody used for a while: its server may have been started again meanwhile.

    SQLAlchemy's own pre-ping tries each time, which for a worker is a question more a transaction.

    Raises:
        InvalidatePoolError: it is dead; SQLAlchemy then opens new ones.
    """
    if time.monotonic() - record.info.get(_RESTS_SINCE_S, math.inf) < RESTED_S:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise exc.InvalidatePoolError from error


def _connect_through_poolers(
    dialect: Dialect, _record: object, positional: Sequence[Any], arguments: dict[str, Any]
) -> Any:
    """Connect without options where a pooler (pgbouncer) refuses them: it ends idle transactions itself."""
    try:
        return dialect.connect(*positional, **arguments)
    except dialect.loaded_dbapi.OperationalError as error:
        if "unsupported startup parameter" not in str(error):
            raise
        del arguments["options"]
        return dialect.connect(*positional, **arguments)


def _parse(url: str) -> URL:
    if url.partition("://")[2].count("@") > 1:
        # Of such a password SQLAlchemy takes the end for the name of the host, which is shown.
        raise DatabaseError(
            "the database URL holds an @ in its user name or password; write it as %40 (: as %3A, / as %2F)"
        )
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (exc.ArgumentError, ValueError):
        raise DatabaseError(
            "the database URL cannot be understood; give a path, or postgresql://user:password@host/name"
        ) from None  # the error's own words may hold the URL, with its password
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseError(f"{describe(url)} names no file, which the workers need; give a path")
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise DatabaseError(f"{backend!r} is no database that fumikura knows; use SQLite or PostgreSQL")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Left to itself, sqlite3 begins transactions late, and a transaction that turns
    # from reading to writing fails with "locked", whatever the timeout.
    connection.isolation_level = None
    _turn_to_wal(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Try until it works: of two that do this to a new file, SQLite refuses one without waiting."""
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get("only_reads", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
