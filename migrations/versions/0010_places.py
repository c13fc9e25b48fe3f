"""Find places by a digest, since PostgreSQL has no index for texts of some thousand bytes."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ZERO = r"'\x00'::bytea"
_BYTES = f"convert_to(archive, 'UTF8') || {_ZERO} || convert_to(member, 'UTF8')"


def upgrade() -> None:
    op.add_column("page_source", sa.Column("place", sa.String(64)))
    op.drop_index("ix_page_source_archive_member", "page_source")
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"UPDATE page_source SET place = encode(sha256({_BYTES}), 'hex')")
    else:
        driver = op.get_bind().connection.driver_connection
        assert driver is not None
        driver.create_function("place_of", 2, _place_of)
        op.execute("UPDATE page_source SET place = place_of(archive, member)")
    with op.batch_alter_table("page_source") as table:
        table.alter_column("place", existing_type=sa.String(64), nullable=False)
        table.drop_constraint("uq_page_source_page_id_archive_member", type_="unique")
        table.create_unique_constraint("uq_page_source_page_id_place", ["page_id", "place"])
    op.create_index("ix_page_source_place", "page_source", ["place"])
    op.create_index("ix_page_source_archive", "page_source", ["archive"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_index("ix_page_source_archive", "page_source")
    op.drop_index("ix_page_source_place", "page_source")
    with op.batch_alter_table("page_source") as table:
        table.drop_constraint("uq_page_source_page_id_place", type_="unique")
        table.create_unique_constraint(
            "uq_page_source_page_id_archive_member", ["page_id", "archive", "member"]
        )
        table.drop_column("place")
    op.create_index("ix_page_source_archive_member", "page_source", ["archive", "member"])


def _place_of(archive: str, member: str) -> str:
    return hashlib.sha256(f"{archive}\0{member}".encode()).hexdigest()
