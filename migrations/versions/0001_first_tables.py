"""Make the first tables, and the views through which people ask them (docs/database.md)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Each page with its newest done reading, as `is_newest_done` in relations.py finds it. Were it written
#: `status = 'done'`, SQLite would begin with all readings that are done, also where one page is asked for.
_NEWEST_DONE = """
    page JOIN reading ON reading.page_id = page.id AND NOT reading.status <> 'done' AND NOT EXISTS (
        SELECT newer.id FROM reading AS newer
        WHERE newer.page_id = reading.page_id AND newer.status = 'done'
        AND (newer.finished_at, newer.id) > (reading.finished_at, reading.id))
"""
_PAGE = "page.id AS page_id, page.name AS page, page.book, reading.id AS reading_id"
_RATIO = "CAST({} AS FLOAT) / NULLIF({}, 0) AS {}"
#: As `pool` in metrics.py makes them of the counts of one page.
_RATIOS = (
    ("2 * pixel_tp", "2 * pixel_tp + pixel_fp + pixel_fn", "dice"),
    ("pixel_tp", "pixel_tp + pixel_fp + pixel_fn", "iou"),
    ("pixel_tp + pixel_tn", "pixel_tp + pixel_fp + pixel_fn + pixel_tn", "accuracy"),
    ("pixel_tp", "pixel_tp + pixel_fp", "precision"),
    ("pixel_tp", "pixel_tp + pixel_fn", "recall"),
    ("2 * pixel_tp", "2 * pixel_tp + pixel_fp + pixel_fn", "f1"),
    ("n_matched", "n_found", "detection_precision"),
    ("n_matched", "n_truth", "detection_recall"),
    ("2 * n_matched", "n_found + n_truth", "detection_f1"),
    ("2 * n_right", "n_found + n_truth", "character_f1"),
    ("n_right", "n_matched", "character_accuracy"),
    ("2 * n_right_as_written", "n_found + n_truth", "character_f1_as_written"),
    ("n_right_as_written", "n_matched", "character_accuracy_as_written"),
)
#: Tables in the order in which they can be dropped.
_DROP = ("score", "run_page", "character", "truth", "run", "reading", "page_source", "recipe", "page", "gate")
_STATUSES = ("queued", "leased", "done", "failed", "quarantined", "cancelled")
_STATUS = sa.Enum(*_STATUSES, name="status", native_enum=False, length=16)
_COUNTS = (
    *("pixel_tp", "pixel_fp", "pixel_fn", "pixel_tn"),
    *("n_truth", "n_found", "n_matched", "n_right", "n_right_as_written"),
)
_VIEWS = {
    "latest_character": f"""
        SELECT {_PAGE}, position, column_number, x, y, character.width, character.height,
            label, confidence, alternatives, next_label
        FROM {_NEWEST_DONE} JOIN character ON character.reading_id = reading.id
    """,
    "page_text": f"SELECT {_PAGE}, text, n_characters, mean_confidence FROM {_NEWEST_DONE}",
    # A column begins where the character before belongs to another. The window sets the order in which
    # labels are put together; SQLite takes an ORDER BY inside the brackets only from version 3.44 on.
    "column_text": f"""
        SELECT {_PAGE}, first.column_number, (
            SELECT {{string_agg}}(label, '') OVER (
                ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
            FROM character
            WHERE reading_id = reading.id AND column_number = first.column_number LIMIT 1) AS text
        FROM {_NEWEST_DONE} JOIN character AS first ON first.reading_id = reading.id AND NOT EXISTS (
            SELECT 1 FROM character AS before
            WHERE before.reading_id = first.reading_id AND before.position = first.position - 1
            AND before.column_number = first.column_number)
    """,
    "page_score": f"""
        SELECT {_PAGE}, {", ".join(_RATIO.format(*ratio) for ratio in _RATIOS)}
        FROM {_NEWEST_DONE} JOIN score ON score.reading_id = reading.id
    """,
}


def _points_to(target: str, table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{target}_id_{target}"
    return sa.ForeignKeyConstraint([f"{target}_id"], [f"{target}.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "gate",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gate"),
    )
    op.create_table(
        "page",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_page"),
        sa.UniqueConstraint("digest", name="uq_page_digest"),
    )
    op.create_index("ix_page_book", "page", ["book"])
    op.create_index("ix_page_name", "page", ["name"])
    op.create_table(
        "recipe",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("segmenter_digest", sa.String(length=64), nullable=False),
        sa.Column("classifier_digest", sa.String(length=64), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recipe"),
        sa.UniqueConstraint("digest", name="uq_recipe_digest"),
    )
    op.create_table(
        "page_source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        _points_to("page", "page_source"),
        sa.PrimaryKeyConstraint("id", name="pk_page_source"),
        sa.UniqueConstraint("page_id", "archive", "member", name="uq_page_source_page_id_archive_member"),
    )
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column("status", _STATUS, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("chunk_limit", sa.Integer()),
        sa.Column("announced_at", sa.DateTime(timezone=True)),
        sa.Column("worker", sa.Text()),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("lease_size", sa.Integer()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.Column("n_characters", sa.Integer()),
        sa.Column("mean_confidence", sa.Float()),
        sa.Column("timings_s", sa.JSON(none_as_null=True)),
        sa.Column("text", sa.Text()),
        sa.Column("mask", sa.LargeBinary()),
        _points_to("page", "reading"),
        _points_to("recipe", "reading"),
        sa.PrimaryKeyConstraint("id", name="pk_reading"),
        sa.UniqueConstraint("page_id", "recipe_id", name="uq_reading_page_id_recipe_id"),
    )
    op.create_index("ix_reading_recipe_id_status_id", "reading", ["recipe_id", "status", "id"])
    op.create_index(
        "ix_reading_recipe_id_status_announced_at", "reading", ["recipe_id", "status", "announced_at"]
    )
    op.create_index("ix_reading_status_worker", "reading", ["status", "worker"])
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        _points_to("recipe", "run"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_index("ix_run_recipe_id", "run", ["recipe_id"])
    op.create_table(
        "truth",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("is_partial", sa.Boolean(), nullable=False),
        sa.Column("boxes", sa.JSON(none_as_null=True)),
        sa.Column("mask", sa.LargeBinary()),
        _points_to("page", "truth"),
        sa.PrimaryKeyConstraint("page_id", name="pk_truth"),
    )
    op.create_table(
        "character",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("column_number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("x", "y", "width", "height")),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("alternatives", sa.JSON(), nullable=False),
        sa.Column("next_label", sa.Text()),
        _points_to("reading", "character"),
        sa.PrimaryKeyConstraint("reading_id", "position", name="pk_character"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_character_label_reading_id_position", "character", ["label", "reading_id", "position"]
    )
    op.create_index(
        "ix_character_label_next_label_reading_id_position",
        "character",
        ["label", "next_label", "reading_id", "position"],
    )
    op.create_table(
        "run_page",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("was_done", sa.Boolean(), nullable=False),
        _points_to("page", "run_page"),
        _points_to("run", "run_page"),
        sa.PrimaryKeyConstraint("run_id", "page_id", name="pk_run_page"),
    )
    op.create_index("ix_run_page_page_id", "run_page", ["page_id"])
    op.create_table(
        "score",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("truth_digest", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.Integer()) for name in _COUNTS),
        _points_to("reading", "score"),
        sa.PrimaryKeyConstraint("reading_id", name="pk_score"),
    )
    string_agg = "string_agg" if op.get_context().dialect.name == "postgresql" else "group_concat"
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query.format(string_agg=string_agg)}")


def downgrade() -> None:
    for view in _VIEWS:
        op.execute(f"DROP VIEW {view}")
    for table in _DROP:
        op.drop_table(table)
