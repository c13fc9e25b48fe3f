"""Say what kinds of values the tables hold that both databases are to keep alike."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, String, TypeDecorator


class Status(StrEnum):
    """The status says where a reading stands."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


class UtcDateTime(TypeDecorator[datetime]):
    """This type gives aware times in UTC on every database; SQLite itself keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


#: A status as text that people can read.
STATUS_TYPE = Enum(
    Status,
    native_enum=False,
    length=16,
    values_callable=lambda statuses: [status.value for status in statuses],
)


def bytewise(kind: type[String], length: int | None = None) -> Any:
    """Make a type of text that sorts by its bytes, whose index finds a beginning; on SQLite all text does.

    PostgreSQL would otherwise sort as the server's language does, and distrust its indexes after an upgrade
    of the operating system.
    """
    return kind(length, collation="C").with_variant(kind(length), "sqlite")
