"""Let SQLite find the runs that ask for a page by that page, not among all runs of its recipe."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# SQLite keeps the order of the tables in a CROSS JOIN. In the other one it began with the runs of the recipe,
# so that each page that changed cost as many steps as there were runs.
_LEFT_TO_SQLITE, _BY_PAGE = "FROM run_page JOIN run", "FROM run_page CROSS JOIN run"


def upgrade() -> None:
    _rewrite(_LEFT_TO_SQLITE, _BY_PAGE)


def downgrade() -> None:
    _rewrite(_BY_PAGE, _LEFT_TO_SQLITE)


def _rewrite(old: str, new: str) -> None:
    """Make the triggers that hold `old` anew with `new`."""
    if op.get_context().dialect.name != "sqlite":
        return
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE :part"
    triggers = op.get_bind().execute(sa.text(asked), {"part": f"%{old}%"}).all()
    for name, sql in triggers:
        op.execute(f"DROP TRIGGER {name}")
        op.execute(sa.text(sql.replace(old, new).replace(":", "\\:")))
