"""Each character knows the label after it, for an index of pairs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = "ix_character_label_next_label_reading_id_position"


def upgrade() -> None:
    op.add_column("character", sa.Column("next_label", sa.Text()))
    op.execute(
        "UPDATE character SET next_label = (SELECT following.label FROM character AS following"
        " WHERE following.reading_id = character.reading_id"
        " AND following.position = character.position + 1)"
    )
    op.create_index(_INDEX, "character", ["label", "next_label", "reading_id", "position"])


def downgrade() -> None:
    op.drop_index(_INDEX, "character")
    op.drop_column("character", "next_label")
