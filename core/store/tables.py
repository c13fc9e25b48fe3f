"""Describe the tables for SQLAlchemy Core. The migrations build exactly these.

Core and not the ORM: rows are written many at a time and read into frozen
dataclasses, and leaving the ORM out saves a third of a short command's start.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from fumikura.core.page import Scores
from fumikura.core.store.column_types import STATUS_TYPE, bytewise
from fumikura.core.store.column_types import Status as Status
from fumikura.core.store.column_types import UtcDateTime as UtcDateTime
from fumikura.core.store.correction_tables import corrected_reading as corrected_reading
from fumikura.core.store.correction_tables import correction as correction
from fumikura.core.store.table_parts import OFTEN_CLEANED, index_of, reference
from fumikura.core.store.table_parts import metadata as metadata

#: The newest revision in migrations/versions. Alembic knows it too, but takes half a
#: second to ask.
SCHEMA_REVISION = "0015"

page = Table(
    "page",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", bytewise(String, 64), nullable=False, unique=True),
    Column("name", Text, nullable=False, index=True),
    Column("book", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("added_at", UtcDateTime, nullable=False),
    # People type the numbers of pages and runs: one that was forgotten is nobody else's.
    sqlite_autoincrement=True,
)


def place_of(archive: str, member: str) -> str:
    """Return the SHA-256 of a place, by which it is found."""
    return hashlib.sha256(f"{archive}\0{member}".encode()).hexdigest()


def _place_of_row(context: Any) -> str:
    row = context.get_current_parameters()
    return place_of(row["archive"], row["member"])


page_source = Table(
    "page_source",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    reference("page"),
    Column("archive", Text, nullable=False),
    Column("member", Text, nullable=False),
    # Of two places that held the same image, the one seen last is the one still there.
    Column("seen_at", UtcDateTime, nullable=False),
    # While the file there has the same stamp, it need not be hashed again.
    Column("stamp", Text),
    # Stands for archive and member in indexes: PostgreSQL has none for texts of some thousand bytes.
    Column("place", String(64), nullable=False, default=_place_of_row),
    # What people call the page there, and the IIIF canvas that shows it, with its area; NULL if unknown.
    Column("label", Text),
    Column("canvas", Text),
    UniqueConstraint("page_id", "place"),
    Index(None, "place"),
    # Only a hash index takes paths of any length there; archives are asked for by equality alone.
    Index(None, "archive", postgresql_using="hash"),
)

truth = Table(
    "truth",
    metadata,
    reference("page", primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("is_partial", Boolean, nullable=False),
    Column("boxes", JSON(none_as_null=True)),
    Column("mask", LargeBinary),
    Column("text", Text),
    Column("lines", JSON(none_as_null=True)),
)

recipe = Table(
    "recipe",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("segmenter_digest", String(64), nullable=False),
    Column("classifier_digest", String(64), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Pages that a recipe's weights have learnt from: scores on them say nothing of others.
learnt_page = Table(
    "learnt_page",
    metadata,
    reference("recipe", primary_key=True),
    # Of the page's image, which the database need not know.
    Column("digest", String(64), primary_key=True),
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    reference("recipe", index=True),
    Column("command", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cancelled_at", UtcDateTime),
    # When all its pages had been added; NULL while that goes on, or if it was cut off.
    Column("listed_at", UtcDateTime),
    sqlite_autoincrement=True,
)

run_page = Table(
    "run_page",
    metadata,
    reference("run", primary_key=True),
    reference("page", primary_key=True, index=True),
    # Done before this run asked for it: the run skips it.
    Column("was_done", Boolean, nullable=False),
)

#: As the index of these rows says it: of a status that comes as a value, no database knows that it fits. Put
#: together from two texts, lest SQLite takes the index of all statuses and sorts what it finds.
IS_FAILED = text("(reading.status || '') IN ('failed', 'quarantined')")
_FAILED_ROWS = text("(status || '') IN ('failed', 'quarantined')")

reading = Table(
    "reading",
    metadata,
    Column("id", Integer, primary_key=True),
    reference("page"),
    reference("recipe"),
    Column("status", STATUS_TYPE, nullable=False),
    # How many workers were lost while this page was all that they held.
    Column("attempts", Integer, nullable=False),
    # After a lost worker, the next one holds this page among at most so many.
    Column("chunk_limit", Integer),
    Column("worker", Text),
    Column("lease_until", UtcDateTime),
    # How many pages the worker held together with this one when it had claimed it.
    Column("lease_size", Integer),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    Column("n_characters", Integer),
    Column("mean_confidence", Float),
    Column("timings_s", JSON(none_as_null=True)),
    Column("text", Text),
    # Last, because SQLite must walk through all that stands before a column.
    Column("mask", LargeBinary),
    # Hosts that did not find the page, each between two line breaks. Behind the mask, for it is asked
    # of pages that wait, which have none.
    Column("missed_on", Text),
    UniqueConstraint("page_id", "recipe_id"),
    Index(None, "recipe_id", "status", "id"),
    Index(None, "status", "worker"),
    # Few rows stand in these two, however many there are: who claims and who looks after leases walks
    # through no others, whatever the planner believes of the table.
    index_of(Status.QUEUED, "recipe_id", "id"),
    index_of(Status.LEASED, "worker"),
    # The least sure of millions are asked for, a few at a time.
    Index(None, "mean_confidence"),
    Index("ix_reading_failed", "page_id", "id", sqlite_where=_FAILED_ROWS, postgresql_where=_FAILED_ROWS),
    postgresql_with=OFTEN_CLEANED,
)

character = Table(
    "character",
    metadata,
    reference("reading", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("column_number", Integer, nullable=False),
    *(Column(name, Integer, nullable=False) for name in ("x", "y", "width", "height")),
    Column("label", bytewise(Text), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("alternatives", JSON, nullable=False),
    # Of the character at the next position; NULL at the end of a page.
    Column("next_label", bytewise(Text)),
    # Which page side of an opening, from 0; what it belongs to; the position of what it is furigana of.
    Column("leaf", Integer, nullable=False, server_default="0"),
    Column("role", Text, nullable=False, server_default="main"),
    Column("base", Integer),
    # Searches go along these, a phrase by its first two labels: however common each of them is,
    # only the places where both stand are looked at.
    Index(None, "label", "reading_id", "position"),
    Index(None, "label", "next_label", "reading_id", "position"),
    sqlite_with_rowid=False,
    postgresql_with=OFTEN_CLEANED,
)

# Of the few readings that should be looked at; a column of `reading` would lie behind its masks.
suspicion = Table(
    "suspicion",
    metadata,
    reference("reading", primary_key=True),
    # As people are told them, with commas between.
    Column("reasons", Text, nullable=False),
)

# Of readings whose page was not read whole and as it is; a column of `reading` would lie behind its masks.
leaf = Table(
    "leaf",
    metadata,
    reference("reading", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Corners, in pixels of the page.
    Column("outline", JSON, nullable=False),
    Column("turned", Integer, nullable=False),
    Column("is_negative", Boolean, nullable=False),
    Column("scale", Float, nullable=False),
)

score = Table(
    "score",
    metadata,
    reference("reading", primary_key=True),
    # The truth that the counts compare with; another digest there means scores out of date.
    Column("truth_digest", String(64), nullable=False),
    *(Column(count.name, Integer) for count in fields(Scores)),
)


def _tally(name: str, owner: str | None, *counts: str) -> Table:
    """Make a table of counts that triggers keep (migrations), so that nobody counts millions of rows.

    Each connection of PostgreSQL adds to a row of its own, its slot, lest all workers wait for one row.
    """
    owned = [] if owner is None else [reference(owner, primary_key=True)]
    slot = Column("slot", Integer, primary_key=True, autoincrement=False)
    columns = [Column(count, BigInteger, nullable=False) for count in counts]
    return Table(name, metadata, *owned, slot, *columns, postgresql_with={"fillfactor": "50"})


_N_READINGS = tuple(status.value for status in Status)
run_tally = _tally("run_tally", "run", *_N_READINGS, "skipped", "characters")
recipe_tally = _tally("recipe_tally", "recipe", *_N_READINGS)
page_tally = _tally("page_tally", None, "pages")

worker = Table(
    "worker",
    metadata,
    # By which it leases pages; `label` is for people.
    Column("name", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("device", Text, nullable=False),
    # Not a reference: a worker may wait for pages of a recipe that nobody has asked for yet.
    Column("recipe_digest", String(64), nullable=False),
    Column("run_id", BigInteger),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("since", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("n_done", Integer, nullable=False),
)

gate = Table(
    "gate",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
)
