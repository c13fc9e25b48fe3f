"""Note for each waiting page the hosts that did not find it, so that it goes to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reading", sa.Column("missed_on", sa.Text()))


def downgrade() -> None:
    op.drop_column("reading", "missed_on")
