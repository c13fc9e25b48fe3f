"""Keep what a page is called where it lies, and on which IIIF canvas it is shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("page_source", sa.Column("label", sa.Text))
    op.add_column("page_source", sa.Column("canvas", sa.Text))


def downgrade() -> None:
    with op.batch_alter_table("page_source") as table:
        table.drop_column("canvas")
        table.drop_column("label")
