"""Let workers find what waits by an index of the waiting readings alone, and forget announcements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OLD_INDEX = "ix_reading_recipe_id_status_announced_at"


def upgrade() -> None:
    op.drop_index(_OLD_INDEX, "reading")
    op.drop_column("reading", "announced_at")
    for status, columns in (("queued", ["recipe_id", "id"]), ("leased", ["worker"])):
        rows = sa.text(f"status = '{status}'")
        op.create_index(f"ix_reading_{status}", "reading", columns, sqlite_where=rows, postgresql_where=rows)


def downgrade() -> None:
    for status in ("leased", "queued"):
        op.drop_index(f"ix_reading_{status}", "reading")
    op.add_column("reading", sa.Column("announced_at", sa.DateTime(timezone=True)))
    op.create_index(_OLD_INDEX, "reading", ["recipe_id", "status", "announced_at"])
