"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


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
        sa.ForeignKeyConstraint(
            ["page_id"], ["page.id"], name="fk_page_source_page_id_page", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_page_source"),
        sa.UniqueConstraint("page_id", "archive", "member", name="uq_page_source_page_id_archive_member"),
    )
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "leased",
                "done",
                "failed",
                "quarantined",
                "cancelled",
                name="status",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
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
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name="fk_reading_page_id_page", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name="fk_reading_recipe_id_recipe", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reading"),
        sa.UniqueConstraint("page_id", "recipe_id", name="uq_reading_page_id_recipe_id"),
    )
    op.create_index("ix_reading_recipe_id_status_id", "reading", ["recipe_id", "status", "id"])
    op.create_index("ix_reading_status_worker", "reading", ["status", "worker"])
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.Integer(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipe.id"], name="fk_run_recipe_id_recipe", ondelete="CASCADE"
        ),
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
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name="fk_truth_page_id_page", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("page_id", name="pk_truth"),
    )
    op.create_table(
        "character",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("column_number", sa.Integer(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("alternatives", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["reading.id"], name="fk_character_reading_id_reading", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("reading_id", "position", name="pk_character"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_character_label_reading_id_position", "character", ["label", "reading_id", "position"]
    )
    op.create_table(
        "run_page",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("was_done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["page.id"], name="fk_run_page_page_id_page", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_run_page_run_id_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "page_id", name="pk_run_page"),
    )
    op.create_index("ix_run_page_page_id", "run_page", ["page_id"])
    op.create_table(
        "score",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("truth_digest", sa.String(length=64), nullable=False),
        sa.Column("pixel_tp", sa.Integer()),
        sa.Column("pixel_fp", sa.Integer()),
        sa.Column("pixel_fn", sa.Integer()),
        sa.Column("pixel_tn", sa.Integer()),
        sa.Column("n_truth", sa.Integer()),
        sa.Column("n_found", sa.Integer()),
        sa.Column("n_matched", sa.Integer()),
        sa.Column("n_right", sa.Integer()),
        sa.Column("n_right_as_written", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["reading.id"], name="fk_score_reading_id_reading", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("reading_id", name="pk_score"),
    )


def downgrade() -> None:
    for table in (
        "score",
        "run_page",
        "character",
        "truth",
        "run",
        "reading",
        "page_source",
        "recipe",
        "page",
        "gate",
    ):
        op.drop_table(table)
