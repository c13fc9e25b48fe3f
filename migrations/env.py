"""Connect Alembic to the database: by the store's connection, or by FUMIKURA_DATABASE_URL."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

from fumikura.core.settings import read_settings
from fumikura.core.store.connecting import connect
from fumikura.core.store.tables import UtcDateTime, metadata
from fumikura.core.store.upgrading import let_tables_be_rebuilt


def _render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write a column's type without our own types: a migration stays as it is when they change."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, UtcDateTime) else False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=_render,
        # SQLite changes a table by making it anew.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    engine = connect(read_settings().database_url)
    if context.is_offline_mode():
        context.configure(dialect_name=engine.dialect.name, target_metadata=metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    with engine.connect() as opened:
        let_tables_be_rebuilt(opened)
        with opened.begin():
            _migrate(opened)
    engine.dispose()


_main()
