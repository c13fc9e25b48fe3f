"""Add what people put right, and what the weights had read on the pages that they put right."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("old_box", sa.JSON(), nullable=True),
        sa.Column("old_label", sa.Text(), nullable=True),
        sa.Column("new_box", sa.JSON(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("after_box", sa.JSON(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sa.ForeignKeyConstraint(
            ["page_id"], ["page.id"], name=op.f("fk_correction_page_id_page"), ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_correction_page_id_id"), "correction", ["page_id", "id"])
    op.create_table(
        "corrected_reading",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("as_read", sa.JSON(), nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_corrected_reading")),
        sa.ForeignKeyConstraint(
            ["reading_id"],
            ["reading.id"],
            name=op.f("fk_corrected_reading_reading_id_reading"),
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("corrected_reading")
    op.drop_table("correction")
