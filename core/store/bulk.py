"""Insert or update many rows in one statement, as each database takes them fastest.

On PostgreSQL rows come by COPY, which SQLAlchemy does not know. It is sent through SQLAlchemy's own way of
executing, so that errors, lost connections and transactions stay what they are for other statements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, event, func, update
from sqlalchemy.dialects.postgresql import ARRAY

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


def update_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *conditions: ColumnElement[bool],
    **for_all: Any,
) -> None:
    """Update rows by their `id`, each to values of its own and all to some more.

    Args:
        rows: the same columns in each, `id` among them.
        conditions: rows for which these do not hold are left alone.
    """
    if not rows:
        return
    names = [name for name in rows[0] if name != "id"]
    if connection.dialect.name == "postgresql":
        # One statement, so that triggers of statements (migration 0003) work once; and its text is the same
        # for any number of rows.
        arrays = [[row[name] for row in rows] for name in ("id", *names)]
        values = [
            bindparam(None, array, ARRAY(table.c[name].type), unique=True)
            for name, array in zip(("id", *names), arrays, strict=True)
        ]
        new = func.unnest(*values).table_valued("id", *names).render_derived(name="new")
        own = {name: new.c[name] for name in names}
        is_meant = table.c.id == new.c.id
        connection.execute(update(table).where(is_meant, *conditions).values({**own, **for_all}))
        return
    marks: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    statement = update(table).where(table.c.id == bindparam("new_id"), *conditions)
    connection.execute(
        statement.values({**marks, **for_all}),
        [{f"new_{name}": value for name, value in row.items()} for row in rows],
    )


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
