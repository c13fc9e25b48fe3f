"""Let PostgreSQL find what a page's change adds to by that page, whatever it believes of the tables.

In the first minute of a new database nothing is known of its tables: then each page that was added or read
went through all pages of its run (2 ms a page with 3,000 of them, and so on).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# A subquery with an OFFSET is computed for each row as it stands, so by its index.
_CHANGES = (
    (
        """JOIN run_page ON run_page.page_id = net.page_id
        JOIN run ON run.id = run_page.run_id AND run.recipe_id = net.recipe_id""",
        """CROSS JOIN LATERAL (SELECT run_id FROM run_page WHERE page_id = net.page_id OFFSET 0) AS asking
        JOIN LATERAL (SELECT * FROM run WHERE id = asking.run_id OFFSET 0) AS run
            ON run.recipe_id = net.recipe_id""",
    ),
    (
        "JOIN reading ON reading.page_id = asked.page_id AND reading.recipe_id = run.recipe_id",
        """JOIN LATERAL (SELECT * FROM reading WHERE page_id = asked.page_id OFFSET 0) AS reading
            ON reading.recipe_id = run.recipe_id""",
    ),
)
# Rows are locked in the order of their ids, as everywhere: so they are found first.
_LOCK = """PERFORM 1 FROM {rows} AS asked JOIN run ON run.id = asked.run_id
        {reading} WHERE reading.status <> 'done'
        ORDER BY reading.id FOR SHARE OF reading"""
_LOCK_BY_ID = """PERFORM 1 FROM reading WHERE id = ANY (ARRAY(
            SELECT reading.id FROM {rows} AS asked JOIN run ON run.id = asked.run_id
            {reading})) AND status <> 'done'
        ORDER BY id FOR SHARE"""


_LOCKS = tuple(
    (
        _LOCK.format(rows=rows, reading=_CHANGES[1][0]),
        _LOCK_BY_ID.format(rows=rows, reading=_CHANGES[1][1]),
    )
    for rows in ("after_rows", "before_rows")
)


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        _rewrite([*_LOCKS, *_CHANGES], scans="SET enable_seqscan = off")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        _rewrite([(new, old) for old, new in (*_LOCKS, *_CHANGES)], scans="RESET enable_seqscan")


def _rewrite(changes: list[tuple[str, str]], *, scans: str) -> None:
    """Make the trigger functions anew with these parts exchanged; `scans`: may they scan whole tables?"""
    definition = "definition"
    for old, new in changes:
        definition = f"replace({definition}, $part${old}$part$, $part${new}$part$)"
    op.execute(
        sa.text(
            f"""DO $rewrite$ DECLARE name text; definition text; BEGIN
            FOR name, definition IN SELECT proname, pg_get_functiondef(oid) FROM pg_proc
                WHERE proname ~ '^tally_(reading|run_page)_' AND pronamespace = current_schema()::regnamespace
            LOOP
                EXECUTE {definition};
                EXECUTE format('ALTER FUNCTION %I() {scans}', name);
            END LOOP; END $rewrite$""".replace(":", "\\:")
        )
    )
