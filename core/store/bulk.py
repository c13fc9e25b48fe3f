"""Insert many rows in one statement, as each database takes them fastest.

On PostgreSQL that is COPY, which SQLAlchemy does not know. It is sent through SQLAlchemy's own way of
executing, so that errors, lost connections and transactions stay what they are for other statements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, event

_COPY = "COPY "

#: JSON as it stands in the database. An encoder that is kept: `json.dumps` would make one for each value.
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def insert_rows(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows whose values the driver takes as they are, in the order of the table's columns."""
    if not rows:
        return
    names = ", ".join(column.name for column in table.columns)
    if connection.dialect.name == "postgresql":
        statement = f"{_COPY}{table.name} ({names}) FROM STDIN"
    else:
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' for _ in table.columns)})"
    connection.exec_driver_sql(statement, rows)


def send_copies(engine: Engine) -> None:
    """Let a psycopg engine execute the COPY statements of `insert_rows`."""
    event.listen(engine, "do_executemany", _copy)
    # A single row comes this way.
    event.listen(engine, "do_execute", lambda cursor, sql, row, context: _copy(cursor, sql, [row], context))


def _copy(cursor: Any, statement: str, rows: Iterable[Sequence[Any]], _context: object) -> bool:
    """Execute the statement if it is a COPY; tell whether it was."""
    if not statement.startswith(_COPY):
        return False
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    return True
