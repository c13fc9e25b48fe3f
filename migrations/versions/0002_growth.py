"""Let numbers never come twice nor run out, find a page by its place, and sort labels by their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_IS_FAILED = sa.text("(status || '') IN ('failed', 'quarantined')")
#: What sorts by its bytes: table, column, type.
_BYTEWISE = (
    ("page", "digest", "VARCHAR(64)"),
    ("character", "label", "TEXT"),
    ("character", "next_label", "TEXT"),
)
_OFTEN_CLEANED = tuple(f"autovacuum_{what}_scale_factor" for what in ("vacuum", "vacuum_insert", "analyze"))
#: As the first migration made them: views that show labels stand in the way of a change of their type.
_NEWEST_DONE = """
    page JOIN reading ON reading.page_id = page.id AND NOT reading.status <> 'done' AND NOT EXISTS (
        SELECT newer.id FROM reading AS newer
        WHERE newer.page_id = reading.page_id AND newer.status = 'done'
        AND (newer.finished_at, newer.id) > (reading.finished_at, reading.id))
"""
_PAGE = "page.id AS page_id, page.name AS page, page.book, reading.id AS reading_id"
_VIEWS_OF_LABELS = {
    "latest_character": f"""
        SELECT {_PAGE}, position, column_number, x, y, character.width, character.height,
            label, confidence, alternatives, next_label
        FROM {_NEWEST_DONE} JOIN character ON character.reading_id = reading.id
    """,
    "column_text": f"""
        SELECT {_PAGE}, first.column_number, (
            SELECT string_agg(label, '') OVER (
                ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            FROM character
            WHERE reading_id = reading.id AND column_number = first.column_number LIMIT 1) AS text
        FROM {_NEWEST_DONE} JOIN character AS first ON first.reading_id = reading.id AND NOT EXISTS (
            SELECT 1 FROM character AS before
            WHERE before.reading_id = first.reading_id AND before.position = first.position - 1
            AND before.column_number = first.column_number)
    """,
}
#: Who may read a view may read it afterwards too.
_KEEP_RIGHTS = """
    CREATE TEMPORARY TABLE rights ON COMMIT DROP AS
    SELECT table_name, grantee FROM information_schema.role_table_grants
    WHERE table_schema = current_schema() AND table_name IN ('latest_character', 'column_text')
    AND privilege_type = 'SELECT' AND grantee <> current_user
"""
_GIVE_RIGHTS = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT * FROM rights LOOP
            EXECUTE format('GRANT SELECT ON %I TO ', one.table_name)
                || CASE one.grantee WHEN 'PUBLIC' THEN 'PUBLIC' ELSE quote_ident(one.grantee) END;
        END LOOP;
    END $$
"""


def upgrade() -> None:
    op.add_column("run", sa.Column("listed_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE run SET listed_at = created_at")
    op.add_column("page_source", sa.Column("stamp", sa.Text()))
    op.create_index("ix_page_source_archive_member", "page_source", ["archive", "member"])
    op.create_index(
        "ix_reading_failed",
        "reading",
        ["page_id", "id"],
        sqlite_where=_IS_FAILED,
        postgresql_where=_IS_FAILED,
    )
    if op.get_context().dialect.name == "sqlite":
        _autoincrement()
        return
    op.execute("ALTER TABLE page_source ALTER COLUMN id TYPE BIGINT")
    op.execute("ALTER SEQUENCE page_source_id_seq AS BIGINT")
    _retype_labels('{} COLLATE "C"')
    options = ", ".join(f"{name} = 0.02" for name in _OFTEN_CLEANED)
    for table in ("reading", "character"):
        op.execute(f"ALTER TABLE {table} SET ({options})")


def downgrade() -> None:
    # On SQLite, numbers that do not come twice harm no older version.
    if op.get_context().dialect.name == "postgresql":
        for table in ("reading", "character"):
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(_OFTEN_CLEANED)})")
        _retype_labels('{} COLLATE "default"')
        op.execute("ALTER SEQUENCE page_source_id_seq AS INTEGER")
        op.execute("ALTER TABLE page_source ALTER COLUMN id TYPE INTEGER")
    op.drop_index("ix_reading_failed", "reading")
    op.drop_index("ix_page_source_archive_member", "page_source")
    op.drop_column("page_source", "stamp")
    op.drop_column("run", "listed_at")


def _autoincrement() -> None:
    """Let SQLite give no number of a run or page twice; it has to make the tables anew for that."""
    for table in ("run", "page"):
        with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass


def _retype_labels(template: str) -> None:
    """Give texts another order: their indexes are built anew, their table is not."""
    op.execute(_KEEP_RIGHTS)
    for view in _VIEWS_OF_LABELS:
        op.execute(f"DROP VIEW {view}")
    for table, column, kind in _BYTEWISE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {template.format(kind)}")
    for view, query in _VIEWS_OF_LABELS.items():
        op.execute(f"CREATE VIEW {view} AS {query}")
    op.execute(_GIVE_RIGHTS)
    op.execute("DROP TABLE rights")
