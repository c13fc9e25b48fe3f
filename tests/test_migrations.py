"""The migrations build exactly the tables that the code knows, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect
from sqlalchemy.engine import Inspector

from fumikura import migrations
from fumikura.core.store.connecting import connect
from fumikura.core.store.queries import run_summary
from fumikura.core.store.search import find_characters
from fumikura.core.store.tables import SCHEMA_REVISION, metadata
from fumikura.core.store.upgrading import open_database, upgrade
from tests.simple_store import make_pages, make_reading, read_all, start_run

_ROOT = Path(__file__).parents[1]


def scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(migrations.__file__).parent))


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An empty database, and beside it one whose tables come from the metadata alone."""
    if request.param == "sqlite":
        return {name: f"sqlite:///{tmp_path / name}.db" for name in ("migrated", "created")}
    make_postgres: Callable[[], str] = request.getfixturevalue("make_postgres")
    return {name: make_postgres() for name in ("migrated", "created")}


def describe_tables(engine: Engine) -> dict[str, dict[str, Any]]:
    """All that a database tells of its tables, in comparable form."""
    inspector: Inspector = inspect(engine)
    return {
        table: {
            "columns": [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=str),
            "unique": sorted(inspector.get_unique_constraints(table), key=str),
            "checks": inspector.get_check_constraints(table),
            "indexes": sorted(map(comparable, inspector.get_indexes(table)), key=str),
            "options": inspector.get_table_options(table),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def comparable(index: Any) -> dict[str, Any]:
    """An index, with the condition of its rows as text."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def test_alembic_finds_no_difference(urls: dict[str, str]) -> None:
    upgrade(urls["migrated"])

    engine = connect(urls["migrated"])
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_the_database_tells_the_same_of_both(urls: dict[str, str]) -> None:
    upgrade(urls["migrated"])
    migrated, created = connect(urls["migrated"]), connect(urls["created"])
    metadata.create_all(created)

    found, wanted = describe_tables(migrated), describe_tables(created)
    migrated.dispose()
    created.dispose()

    assert found == wanted
    assert set(found) == set(metadata.tables)


def test_going_back_leaves_no_table_and_no_view(urls: dict[str, str]) -> None:
    upgrade(urls["migrated"])
    config = Config(_ROOT / "alembic.ini")
    engine = connect(urls["migrated"])

    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert inspect(engine).get_view_names() == []
    engine.dispose()


def triggers(engine: Engine) -> set[str]:
    source = {"sqlite": "name FROM sqlite_master WHERE type = 'trigger'"}
    source["postgresql"] = "tgname FROM pg_trigger WHERE NOT tgisinternal"
    with engine.connect() as connection:
        return set(connection.exec_driver_sql(f"SELECT {source[engine.dialect.name]}").scalars())


def test_every_count_has_its_triggers(engine: Engine) -> None:
    events = {"reading": ("insert", "update", "delete"), "run_page": ("insert", "delete")}
    events["page"] = ("insert", "delete")
    if engine.dialect.name == "sqlite":  # where each owner of counts has one row of them from the first
        events |= {"run": ("insert",), "recipe": ("insert",)}

    # A table that a migration makes anew loses them.
    assert triggers(engine) == {f"tally_{table}_{event}" for table in events for event in events[table]}


def test_the_code_knows_the_newest_revision() -> None:
    assert scripts().get_heads() == [SCHEMA_REVISION]


def test_the_command_line_of_alembic_finds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'by_hand.db'}"
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", url)

    command.upgrade(Config(_ROOT / "alembic.ini"), "head")

    engine = connect(url)
    assert set(metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()


def test_the_statements_can_be_shown_without_a_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    command.upgrade(Config(_ROOT / "alembic.ini"), "head", sql=True)

    assert "CREATE TABLE character" in capsys.readouterr().out


_REBUILD_PAGE = f"""
from alembic import op

revision, down_revision = "made_up", "{SCHEMA_REVISION}"

def upgrade():
    with op.batch_alter_table("page", recreate="always"):
        pass
"""

_KEEP_FIRST_LABEL = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "made_up", "{SCHEMA_REVISION}"

def upgrade():
    op.add_column("reading", sa.Column("first_label", sa.Text()))
    op.execute(
        "UPDATE reading SET first_label = (SELECT label FROM character"
        " WHERE reading_id = reading.id AND position = 0)"
    )
"""


@pytest.fixture
def add_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that lets a made-up migration follow ours."""

    def add(code: str) -> None:
        folder = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
        (folder / "versions" / "made_up.py").write_text(code)
        monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))

    return add


def test_a_table_that_is_rebuilt_keeps_the_rows_that_point_to_it(
    sqlite_url: str, add_migration: Callable[[str], None]
) -> None:
    engine = open_database(sqlite_url)
    run_id, _ = start_run(engine, make_pages(2))
    add_migration(_REBUILD_PAGE)

    upgrade(sqlite_url)

    assert run_summary(engine, run_id).queued == 2
    engine.dispose()


def test_a_table_that_is_rebuilt_keeps_the_views_that_ask_it(
    sqlite_url: str, add_migration: Callable[[str], None]
) -> None:
    engine = open_database(sqlite_url)
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("いろ"))
    add_migration(_REBUILD_PAGE)

    upgrade(sqlite_url)

    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT page, text FROM page_text").all()
    assert found == [("tale_001", "いろ")]
    engine.dispose()


def test_an_older_database_keeps_its_rows_and_gets_what_a_migration_makes_of_them(
    urls: dict[str, str], add_migration: Callable[[str], None]
) -> None:
    upgrade(urls["migrated"])
    engine = open_database(urls["migrated"])
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("いろ", "は"), make_reading("ろ"))
    add_migration(_KEEP_FIRST_LABEL)

    upgrade(urls["migrated"])

    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT first_label FROM reading ORDER BY id").scalars().all()
    assert found == ["い", "ろ"]
    assert [(hit.page, hit.position) for hit in find_characters(engine, "ろは")] == [("tale_001", 1)]
    engine.dispose()
