"""Add why readings should be looked at, and let pages be listed by how sure their readings are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suspicion",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_suspicion")),
        sa.ForeignKeyConstraint(
            ["reading_id"],
            ["reading.id"],
            name=op.f("fk_suspicion_reading_id_reading"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_reading_mean_confidence"), "reading", ["mean_confidence"])


def downgrade() -> None:
    op.drop_index(op.f("ix_reading_mean_confidence"), "reading")
    op.drop_table("suspicion")
