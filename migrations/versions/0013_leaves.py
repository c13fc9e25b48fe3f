"""Keep the leaves of a photograph, and on which of them each character stands and what it belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NEWEST_DONE = """
    page JOIN reading ON reading.page_id = page.id AND NOT reading.status <> 'done' AND NOT EXISTS (
        SELECT newer.id FROM reading AS newer
        WHERE newer.page_id = reading.page_id AND newer.status = 'done'
        AND (newer.finished_at, newer.id) > (reading.finished_at, reading.id))
"""
_BEFORE = """page.id AS page_id, page.name AS page, page.book, reading.id AS reading_id,
    position, column_number, x, y, character.width, character.height,
    label, confidence, alternatives, next_label"""
_AFTER = f"{_BEFORE}, leaf, role, base"


def upgrade() -> None:
    op.create_table(
        "leaf",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outline", sa.JSON(), nullable=False),
        sa.Column("turned", sa.Integer(), nullable=False),
        sa.Column("is_negative", sa.Boolean(), nullable=False),
        sa.Column("scale", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("reading_id", "number", name=op.f("pk_leaf")),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["reading.id"], name=op.f("fk_leaf_reading_id_reading"), ondelete="CASCADE"
        ),
    )
    # With defaults, so that no row of a table of billions has to be written anew.
    op.add_column("character", sa.Column("leaf", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("character", sa.Column("role", sa.Text(), nullable=False, server_default="main"))
    op.add_column("character", sa.Column("base", sa.Integer()))
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP VIEW latest_character")
    # Replaced by PostgreSQL, the view keeps who may read it.
    replace = "OR REPLACE " if op.get_context().dialect.name == "postgresql" else ""
    op.execute(f"CREATE {replace}VIEW latest_character AS {_query(_AFTER)}")


def downgrade() -> None:
    op.execute("DROP VIEW latest_character")
    for column in ("base", "role", "leaf"):
        op.drop_column("character", column)
    op.execute(f"CREATE VIEW latest_character AS {_query(_BEFORE)}")
    op.drop_table("leaf")


def _query(columns: str) -> str:
    return f"SELECT {columns} FROM {_NEWEST_DONE} JOIN character ON character.reading_id = reading.id"
