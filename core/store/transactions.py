"""Read and write in transactions that behave alike on SQLite and PostgreSQL.

Whatever the database itself does wrong (gone, full, locked for too long) leaves the
store as DatabaseError, so that callers can wait and try again without SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, DateTime, Engine, Table, exc, func, select

from fumikura.core.errors import DatabaseError, FumikuraError, first_line
from fumikura.core.host import machine
from fumikura.core.store import tables
from fumikura.core.store.connecting import describe

#: Nothing that a worker or feeder changes takes so long. One that froze between the messages of a statement
#: is not idle to PostgreSQL, but can be ended for this, from version 17 on.
BRIEF_S = 20
#: How long after its last write a machine still counts as writing into a SQLite file.
HOLD_S = 90.0
_OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
#: PostgreSQL's code for a lack of privileges.
_MAY_NOT = "42501"


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a connection that only reads, sees all as at one time, and on SQLite waits for no writer."""
    options: dict[str, Any] = {"only_reads": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    with reporting(engine), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a connection whose changes are kept together at the end, or not at all.

    Raises:
        DatabaseError: also if another machine writes into the same SQLite file.
    """
    with reporting(engine), engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            _hold_file(connection)
        yield connection


@contextmanager
def brief_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a `write_transaction` that loses its locks after BRIEF_S, should this machine freeze in it.

    Ask it for nothing large: while a frozen client leaves an answer lying, PostgreSQL ends no session.
    """
    with write_transaction(engine) as connection:
        dialect = connection.dialect
        if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= (17,):
            connection.exec_driver_sql(f"SET LOCAL transaction_timeout = '{BRIEF_S}s'")
        yield connection


@contextmanager
def request_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a `write_transaction` that may change which runs ask for which pages: one at a time does.

    Two that know nothing of each other's requests would both act on what was asked for before: one cancels
    or forgets what the other is just asking for. Keep it short, and each statement in it sees all that was
    asked for by then.
    """
    with write_transaction(engine) as connection:
        serialize_writers(connection, "requests")
        yield connection


def expect_few_rows(connection: Connection) -> None:
    """Let the transaction look up by indexes what belongs to a few rows, whatever PostgreSQL believes.

    By conditions that leave out fewer rows than it thinks, it would go through whole tables instead.
    """
    if connection.dialect.name == "postgresql":
        off = [func.set_config(f"enable_{kind}", "off", True) for kind in ("hashjoin", "mergejoin")]
        connection.execute(select(*off))


def now(connection: Connection) -> datetime:
    """Tell the time in UTC: the server's for PostgreSQL, as clocks differ; this machine's for SQLite."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time.astimezone(UTC)


def moment(connection: Connection) -> Any:
    """Give the time of `now` as part of a statement, so that PostgreSQL need not be asked for it first."""
    if connection.dialect.name == "sqlite":
        return now(connection)
    return func.clock_timestamp(type_=DateTime(timezone=True))


def serialize_writers(connection: Connection, purpose: str) -> None:
    """Let one transaction of this purpose run at a time, until it ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_lock_key(purpose))))


def try_alone(connection: Connection, purpose: str) -> bool:
    """Be the one transaction of this purpose until it ends; return False if another one is.

    SQLite has one writer anyway.
    """
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(_lock_key(purpose)))))


def _lock_key(purpose: str) -> ColumnElement[int]:
    return func.hashtextextended(f"fumikura {purpose}", 0)


def upsert(connection: Connection, table: Table) -> Any:
    """Begin an INSERT with ON CONFLICT, which both databases write alike and SQLAlchemy does not."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def set_gate(
    connection: Connection, name: str, next_at: datetime, *, where: ColumnElement[bool] | None = None
) -> Any:
    """Make the statement that shuts a gate until a time; one that was there only if `where` holds for it."""
    statement = upsert(connection, tables.gate).values(name=name, next_at=next_at)
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"next_at": statement.excluded.next_at}, where=where
    )


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
        connection.execute(set_gate(connection, mine, time + timedelta(seconds=HOLD_S)))


@contextmanager
def reporting(engine: Engine) -> Iterator[None]:
    """Raise a DatabaseError, one line for people, for whatever the database itself does wrong.

    A value that it cannot hold is a FumikuraError: a worker waits for the end of a DatabaseError.
    """
    try:
        yield
    except _OUTAGES as error:
        raise DatabaseError(f"the database {describe(engine.url)} {_reason(error, engine.url)}") from error
    except exc.DataError as error:
        raise FumikuraError(
            f"the database {describe(engine.url)} takes no such value: {first_line(error.orig or error)}"
        ) from error
    except exc.IntegrityError as error:
        # A count was to be added to a run that somebody forgot between two looks of the same statement.
        if "fk_run_tally_run_id_run" not in str(error.orig):
            raise
        raise DatabaseError("a run with these pages was forgotten at this moment; try again") from error
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _MAY_NOT:
            raise
        raise DatabaseError(
            f"the database {describe(engine.url)} refuses: {first_line(error.orig or error)};"
            " let its owner be the role that fumikura logs in as"
        ) from error


def _reason(error: exc.SQLAlchemyError, url: URL) -> str:
    """Give the first line of what the driver says, without the password."""
    line = first_line(getattr(error, "orig", None) or error)
    if "is full" in line or "No space left" in line:
        return "has no room left on its disk: free some; pages that could not be saved wait"
    shown = line.replace(url.password, "***") if url.password else line
    if "read-only transaction" in line or "readonly database" in line:
        return f"takes no writes ({line}); name the primary server, or a file that may be written, with --db"
    if "unable to open database file" in line and url.get_backend_name() == "sqlite":
        return "cannot be opened to write in it: get that right for the file and its folder, or name another"
    if "-wal or -journal" in line:  # our own words, of open_to_read
        return f"cannot be read: {shown}"
    remedy = "; start its server, or correct --db" if "Connection refused" in line else ""
    return f"does not answer: {shown}{remedy}"
