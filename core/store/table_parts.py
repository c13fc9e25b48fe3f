"""Keep what the descriptions of several tables share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, MetaData, text

from fumikura.core.store.column_types import Status

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)


def reference(target: str, **options: Any) -> Column[Any]:
    """Make a column that points to another table's id; when that row goes, this one goes."""
    return Column(f"{target}_id", ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=False, **options)


#: So that the tables that grow to billions of rows are looked after before a fifth of them has changed.
OFTEN_CLEANED = {
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.02",
}


def index_of(status: Status, *columns: str) -> Index:
    """Make an index of the readings in one status; a statement is to name it by `relations.IS_…`."""
    rows = text(f"status = '{status}'")
    return Index(f"ix_reading_{status}", *columns, sqlite_where=rows, postgresql_where=rows)
