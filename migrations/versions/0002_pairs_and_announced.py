"""Indexes for pairs of labels (each character knows the label after it) and for what is announced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PAIRS = "ix_character_label_next_label_reading_id_position"
_ANNOUNCED = "ix_reading_recipe_id_status_announced_at"


def upgrade() -> None:
    op.add_column("character", sa.Column("next_label", sa.Text()))
    op.execute(
        "UPDATE character SET next_label = (SELECT following.label FROM character AS following"
        " WHERE following.reading_id = character.reading_id"
        " AND following.position = character.position + 1)"
    )
    op.create_index(_PAIRS, "character", ["label", "next_label", "reading_id", "position"])
    op.create_index(_ANNOUNCED, "reading", ["recipe_id", "status", "announced_at"])


def downgrade() -> None:
    op.drop_index(_ANNOUNCED, "reading")
    op.drop_index(_PAIRS, "character")
    op.drop_column("character", "next_label")
