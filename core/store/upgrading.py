"""Open a database of this version of fumikura, or bring an older one up to it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, exc, inspect

from fumikura.core.errors import DatabaseError
from fumikura.core.store.connecting import connect, describe
from fumikura.core.store.sqlite_reading import may_write
from fumikura.core.store.tables import SCHEMA_REVISION
from fumikura.core.store.transactions import read_transaction, reporting, serialize_writers


def open_database(url: str, *, may_be_empty: bool = True, only_reads: bool = False) -> Engine:
    """Open a database that is at this version, or refuse it.

    A SQLite file is upgraded on the way, or made if it `may_be_empty`; PostgreSQL never is, as other
    machines may be working with it.

    Raises:
        DatabaseError: unreachable, of another version, another program's, or no database at all.
    """
    engine = connect(url, only_reads=only_reads)
    found = _revision(engine, may_be_empty=may_be_empty)
    if found == SCHEMA_REVISION:
        return engine
    engine.dispose()
    state = f"is at version {found}" if found else "has no tables yet"
    is_newer = found is not None and found > SCHEMA_REVISION
    remedy = "install the newer fumikura on this machine" if is_newer else "run `fumikura db upgrade`"
    if engine.dialect.name == "sqlite" and not is_newer:
        file = Path(engine.url.database or "")
        if not file.exists() or may_write(file):
            upgrade(url)
            return engine
        remedy = "it may only be read here, so copy it to a folder of yours, where it is brought up to date"
    raise DatabaseError(
        f"the database {describe(url)} {state}, this fumikura needs version {SCHEMA_REVISION}; {remedy}"
    )


def upgrade(url: str) -> str | None:
    """Bring a database to this version, making it if need be. Two at once do no harm.

    Returns:
        The version that it had; None if it had no tables yet.

    Raises:
        DatabaseError: unreachable, made by a newer fumikura, or a SQLite file of another program.
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
        before = _revision(engine)
        with reporting(engine), engine.connect() as connection:
            _check_encoding(connection)
            let_tables_be_rebuilt(connection)
            with connection.begin():
                serialize_writers(connection, "upgrade")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        return before
    except CommandError as error:
        raise DatabaseError(
            f"the database {describe(url)} was made by another version of fumikura ({error});"
            " use that version, or another database"
        ) from error
    finally:
        engine.dispose()


def _check_encoding(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        connection.rollback()
        if encoding != "UTF8":
            raise DatabaseError(
                f"the database {describe(connection.engine.url)} is in {encoding}, which lacks kanji;"
                " make it anew with ENCODING 'UTF8' TEMPLATE template0"
            )


def _revision(engine: Engine, *, may_be_empty: bool = True) -> str | None:
    """Ask for the version of a database; None if it is still to be made. Refuse a file that is not ours."""
    cause = None
    if engine.dialect.name == "sqlite":
        if not Path(engine.url.database or "").exists():
            return None
        # A file that turns out to be another program's is to stay as it is, also in its journal mode.
        engine = connect(engine.url.render_as_string(), only_reads=True)
    try:
        with read_transaction(engine) as connection:
            inspector = inspect(connection)
            if inspector.has_table("alembic_version"):
                return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            if connection.dialect.name != "sqlite" or (may_be_empty and not inspector.get_table_names()):
                return None
    except exc.DatabaseError as error:
        cause = error
    problem = cause.orig if cause else "its tables are not ours"
    raise DatabaseError(
        f"{describe(engine.url)} is no database of fumikura ({problem}); name another file"
    ) from cause


def let_tables_be_rebuilt(connection: Connection) -> None:
    """Let a migration make a SQLite table anew, though rows and views point to it."""
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and driver is not None:
        # The first has no effect inside a transaction.
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA legacy_alter_table = ON")
