"""Describe the tables of what people put right."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, String, Table, Text

from fumikura.core.store.column_types import UtcDateTime
from fumikura.core.store.table_parts import metadata, reference

# What people put right: of the page, so that it outlives every reading. Nothing is ever changed or deleted
# in it, but for `undone_at`.
correction = Table(
    "correction",
    metadata,
    Column("id", Integer, primary_key=True),
    reference("page"),
    # The id of the first of those that were made, and are undone, together.
    Column("act", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("old_box", JSON(none_as_null=True)),
    Column("old_label", Text),
    Column("new_box", JSON(none_as_null=True)),
    Column("label", Text),
    Column("role", Text),
    Column("after_box", JSON(none_as_null=True)),
    Column("who", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("undone_at", UtcDateTime),
    Index(None, "page_id", "id"),
    sqlite_autoincrement=True,
)

# Its characters stand in `character` as people put them right.
corrected_reading = Table(
    "corrected_reading",
    metadata,
    reference("reading", primary_key=True),
    Column("as_read", JSON, nullable=False),
    # By which an export knows that it has the page as it is.
    Column("corrected_at", UtcDateTime, nullable=False),
)
