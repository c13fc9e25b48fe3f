"""Engines and transactions: where SQLite and PostgreSQL are made to behave alike.

Whatever the database itself does wrong (gone, full, locked for too long) leaves the
store as DatabaseError, so that callers can wait and try again without SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    exc,
    func,
    inspect,
    make_url,
    select,
)

from fumikura.core.errors import DatabaseError
from fumikura.core.host import machine
from fumikura.core.store import tables
from fumikura.core.store.bulk import send_copies, to_json
from fumikura.core.store.tables import SCHEMA_REVISION

__all__ = [
    "Engine",
    "brief_transaction",
    "connect",
    "describe",
    "moment",
    "now",
    "open_database",
    "read_transaction",
    "serialize_writers",
    "try_alone",
    "upgrade",
    "upsert",
    "write_transaction",
]

#: How long a SQLite writer waits for another before it gives up.
LOCK_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
#: A PostgreSQL session that does nothing for so long inside a transaction is ended: a machine that freezes
#: there would keep its locks.
IDLE_TRANSACTION_S = 15
#: Nothing that a worker or feeder changes takes so long. One that froze between the messages of a statement
#: is not idle to PostgreSQL, but can be ended for this, from version 17 on.
BRIEF_S = 20
#: How long after its last write a machine still counts as writing into a SQLite file.
HOLD_S = 90.0

_OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
#: PostgreSQL's code for a lack of privileges.
_MAY_NOT = "42501"
_version_table = Table("alembic_version", MetaData())


def connect(url: str) -> Engine:
    """An engine for a SQLAlchemy URL; nothing is opened yet.

    Raises:
        DatabaseError: the URL is none, names another kind of database or a file in a folder that is not
            there, or the driver is missing.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        folder = Path(parsed.database or "").parent
        if not folder.is_dir():
            raise DatabaseError(f"there is no folder {folder} for the database; make it first")
        arguments: dict[str, Any] = {"timeout": LOCK_TIMEOUT_S}
        engine = create_engine(parsed, json_serializer=to_json, connect_args=arguments)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    arguments = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "client_encoding": "utf8",
        "options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_S}s",
    }
    arguments = {name: value for name, value in arguments.items() if name not in parsed.query}
    try:
        engine = create_engine(parsed, json_serializer=to_json, connect_args=arguments, pool_pre_ping=True)
    except ImportError as error:
        raise DatabaseError(
            "PostgreSQL needs its driver; install it with `pip install 'fumikura[postgres]'`"
        ) from error
    send_copies(engine)
    return engine


def open_database(url: str) -> Engine:
    """An engine for a database of this version.

    A SQLite file is made or upgraded on the way; PostgreSQL never is, as other
    machines may be working with it.

    Raises:
        DatabaseError: unreachable, of another version, or no database at all.
    """
    engine = connect(url)
    found = _revision(engine)
    if found == SCHEMA_REVISION:
        return engine
    if engine.dialect.name == "sqlite":
        engine.dispose()
        upgrade(url)
        return engine
    engine.dispose()
    state = f"is at version {found}" if found else "has no tables yet"
    is_newer = found is not None and found > SCHEMA_REVISION
    remedy = "install the newer fumikura on this machine" if is_newer else "run `fumikura db upgrade`"
    raise DatabaseError(
        f"the database {describe(url)} {state}, this fumikura needs version {SCHEMA_REVISION}; {remedy}"
    )


def upgrade(url: str) -> None:
    """Bring a database to this version, making it if need be. Two at once do no harm.

    Raises:
        DatabaseError: unreachable, or made by a newer fumikura.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    from fumikura import migrations

    config = Config()
    # ConfigParser reads a % as the start of a reference.
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    engine = connect(url)
    try:
        with _reporting(engine), engine.connect() as connection:
            _check_encoding(connection)
            _unlink_foreign_keys(connection)
            with connection.begin():
                serialize_writers(connection, "upgrade")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"the database {describe(url)} was made by another version of fumikura ({error});"
            " use that version, or another database"
        ) from error
    finally:
        engine.dispose()


def describe(url: str | URL) -> str:
    """The URL as people may see it: without password and options."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads, and on SQLite waits for no writer."""
    with _reporting(engine), engine.connect().execution_options(only_reads=True) as connection:
        yield connection


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection whose changes are kept together at the end, or not at all.

    Raises:
        DatabaseError: also if another machine writes into the same SQLite file.
    """
    with _reporting(engine), engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            _hold_file(connection)
        yield connection


@contextmanager
def brief_transaction(engine: Engine) -> Iterator[Connection]:
    """A `write_transaction` whose locks a machine that freezes in it loses after BRIEF_S.

    Ask it for nothing large: while a frozen client leaves an answer lying, PostgreSQL ends no session.
    """
    with write_transaction(engine) as connection:
        dialect = connection.dialect
        if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= (17,):
            connection.exec_driver_sql(f"SET LOCAL transaction_timeout = '{BRIEF_S}s'")
        yield connection


def now(connection: Connection) -> datetime:
    """The time in UTC: PostgreSQL's own, as its hosts' clocks differ; this machine's for SQLite."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time.astimezone(UTC)


def moment(connection: Connection) -> Any:
    """What `now` gives, to be written into a statement: PostgreSQL need not be asked for it first."""
    if connection.dialect.name == "sqlite":
        return now(connection)
    return func.clock_timestamp(type_=DateTime(timezone=True))


def serialize_writers(connection: Connection, purpose: str) -> None:
    """Let one transaction of this purpose run at a time, until it ends.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_lock_key(purpose))))


def try_alone(connection: Connection, purpose: str) -> bool:
    """Be the one transaction of this purpose until it ends; False if another is, be it of a frozen machine.

    SQLite has one writer anyway.
    """
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(_lock_key(purpose)))))


def _lock_key(purpose: str) -> ColumnElement[int]:
    return func.hashtextextended(f"fumikura {purpose}", 0)


def upsert(connection: Connection, table: Table) -> Any:
    """INSERT with ON CONFLICT, which both databases write alike and SQLAlchemy does not."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _hold_file(connection: Connection) -> None:
    """Let one machine alone write into a SQLite file: the locks of shared folders cannot be trusted.

    A row of the gate names the machine; it holds HOLD_S from the last write on, which a worker's leases
    renew far more often.
    """
    gate, time = tables.gate.c, now(connection)
    mine = f"host {machine()}"
    hosts = select(gate.name, gate.next_at).where(gate.name.startswith("host "))
    held_until: dict[str, datetime] = dict(connection.execute(hosts).all())
    until = held_until.pop(mine, None)
    if any(other > time for other in held_until.values()):
        raise DatabaseError(
            f"another machine writes into {describe(connection.engine.url)}; use PostgreSQL for several"
            f" machines, or wait until that one has been done for {HOLD_S:.0f} seconds"
        )
    if until is None or until < time + timedelta(seconds=HOLD_S / 2):
        held = upsert(connection, tables.gate).values(name=mine, next_at=time + timedelta(seconds=HOLD_S))
        connection.execute(
            held.on_conflict_do_update(index_elements=["name"], set_={"next_at": held.excluded.next_at})
        )


@contextmanager
def _reporting(engine: Engine) -> Iterator[None]:
    try:
        yield
    except _OUTAGES as error:
        raise DatabaseError(f"the database {describe(engine.url)} {_reason(error, engine.url)}") from error
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _MAY_NOT:
            raise
        raise DatabaseError(
            f"the database {describe(engine.url)} refuses: {str(error.orig).splitlines()[0]};"
            " let its owner be the role that fumikura logs in as"
        ) from error


def _check_encoding(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        connection.rollback()
        if encoding != "UTF8":
            raise DatabaseError(
                f"the database {describe(connection.engine.url)} is in {encoding}, which lacks kanji;"
                " make it anew with ENCODING 'UTF8' TEMPLATE template0"
            )


def _reason(error: exc.SQLAlchemyError, url: URL) -> str:
    """The first line of what the driver says, in which a password must not show."""
    origin = getattr(error, "orig", None) or error
    line = next(iter(str(origin).strip().splitlines()), type(origin).__name__)
    if "is full" in line or "No space left" in line:
        return "has no room left on its disk: free some; pages that could not be saved wait"
    shown = line.replace(url.password, "***") if url.password else line
    remedy = "; start its server, or correct --db" if "Connection refused" in line else ""
    return f"does not answer: {shown}{remedy}"


def _parse(url: str) -> URL:
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


def _revision(engine: Engine) -> str | None:
    """The version in a database; None where there are no tables of ours."""
    try:
        with read_transaction(engine) as connection:
            if not inspect(connection).has_table(_version_table.name):
                return None
            return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except exc.DatabaseError as error:
        raise DatabaseError(
            f"{describe(engine.url)} is no database of fumikura ({error.orig}); name another file"
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Left to itself, sqlite3 begins transactions late, and a transaction that turns
    # from reading to writing fails with "locked", whatever the timeout.
    connection.isolation_level = None
    _turn_to_wal(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Two that do this to a new file would wait for each other, so SQLite refuses one without waiting."""
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


def _unlink_foreign_keys(connection: Connection) -> None:
    """Let a migration rebuild a SQLite table without deleting the rows that point to it."""
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and driver is not None:
        driver.execute("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
