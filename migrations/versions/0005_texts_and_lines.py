"""Let truth be texts and lines too, and scores count what a reading shares with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTS = (
    *("n_text_truth", "n_text_found", "n_text_common", "text_distance"),
    *("n_lines", "n_lines_found", "n_in_lines", "n_reported"),
)
_PAGE = "page.id AS page_id, page.name AS page, page.book, reading.id AS reading_id"
#: As in the first tables: the newest done reading of each page.
_NEWEST_DONE = """
    page JOIN reading ON reading.page_id = page.id AND NOT reading.status <> 'done' AND NOT EXISTS (
        SELECT newer.id FROM reading AS newer
        WHERE newer.page_id = reading.page_id AND newer.status = 'done'
        AND (newer.finished_at, newer.id) > (reading.finished_at, reading.id))
"""
_RATIO = "CAST({} AS FLOAT) / NULLIF({}, 0) AS {}"
_OLD_RATIOS = (
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
#: As `pool` in metrics.py makes them of the counts of one page.
_NEW_RATIOS = (
    ("text_distance", "n_text_truth", "text_error_rate"),
    ("2 * n_text_common", "n_text_truth + n_text_found", "text_f1"),
    ("n_lines_found", "n_lines", "line_recall"),
    ("n_in_lines", "n_reported", "line_precision"),
)


def _view(ratios: tuple[tuple[str, str, str], ...]) -> str:
    columns = ", ".join(_RATIO.format(*ratio) for ratio in ratios)
    joined = f"{_NEWEST_DONE} JOIN score ON score.reading_id = reading.id"
    return f"VIEW page_score AS SELECT {_PAGE}, {columns} FROM {joined}"


def upgrade() -> None:
    op.add_column("truth", sa.Column("text", sa.Text()))
    op.add_column("truth", sa.Column("lines", sa.JSON(none_as_null=True)))
    for name in _COUNTS:
        op.add_column("score", sa.Column(name, sa.Integer()))
    # PostgreSQL lets a view grow at its end, and whoever may read it keeps that right.
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"CREATE OR REPLACE {_view(_OLD_RATIOS + _NEW_RATIOS)}")
    else:
        op.execute("DROP VIEW page_score")
        op.execute(f"CREATE {_view(_OLD_RATIOS + _NEW_RATIOS)}")


def downgrade() -> None:
    op.execute("DROP VIEW page_score")
    for name in _COUNTS:
        op.drop_column("score", name)
    for name in ("text", "lines"):
        op.drop_column("truth", name)
    op.execute(f"CREATE {_view(_OLD_RATIOS)}")
