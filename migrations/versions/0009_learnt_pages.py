"""Add which pages the weights of a recipe have learnt from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learnt_page",
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("recipe_id", "digest", name=op.f("pk_learnt_page")),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name=op.f("fk_learnt_page_recipe_id_recipe"), ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("learnt_page")
