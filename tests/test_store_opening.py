"""Opening and upgrading databases, and what people are told when that fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text

from fumikura.core.errors import DatabaseError
from fumikura.core.store import tables
from fumikura.core.store.connecting import connect, describe
from fumikura.core.store.pages import add_run
from fumikura.core.store.queries import list_runs, run_summary
from fumikura.core.store.transactions import read_transaction, serialize_writers, write_transaction
from fumikura.core.store.upgrading import open_database, upgrade
from tests.servers import Server
from tests.simple_store import RECIPE

_SECRET = "postgresql://reader:sesame@127.0.0.1:1/books?password=sesame"


def set_revision(url: str, revision: str) -> None:
    engine = connect(url)
    with write_transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    engine.dispose()


def test_a_missing_sqlite_file_is_made(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")

    assert list_runs(engine) == []
    engine.dispose()


def test_a_sqlite_file_keeps_its_rows_when_it_is_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / '100% new.db'}"
    first = open_database(url)
    run_id = add_run(first, RECIPE, command="fumikura run")
    first.dispose()

    second = open_database(url)

    assert run_summary(second, run_id).run == run_id
    second.dispose()


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)

    engine = open_database(database_url)
    assert list_runs(engine) == []
    engine.dispose()


@pytest.mark.slow
def test_many_processes_may_make_the_same_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    code = f"from fumikura.core.store.upgrading import open_database; open_database({url!r})"
    root = Path(__file__).parents[1]

    openers = [subprocess.Popen([sys.executable, "-c", code], cwd=root) for _ in range(6)]

    assert [opener.wait(60) for opener in openers] == [0] * 6


@pytest.mark.slow
def test_two_upgrades_of_postgresql_at_once_wait_for_each_other(empty_postgres_url: str) -> None:
    code = f"from fumikura.core.store.upgrading import upgrade; upgrade({empty_postgres_url!r})"
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    engine = connect(empty_postgres_url)

    with engine.begin() as connection:
        serialize_writers(connection, "upgrade")
        upgrades = [
            subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1]) for _ in range(2)
        ]
        while connection.scalar(waiting) != len(upgrades):
            assert [one.poll() for one in upgrades] == [None, None]
            time.sleep(0.05)

    assert [one.wait(60) for one in upgrades] == [0, 0]
    assert list_runs(engine) == []
    engine.dispose()


def test_postgresql_without_tables_asks_for_an_upgrade(empty_postgres_url: str) -> None:
    with pytest.raises(DatabaseError, match=r"has no tables yet.*`fumikura db upgrade`"):
        open_database(empty_postgres_url)


def test_postgresql_of_another_version_asks_for_an_upgrade(postgres_url: str) -> None:
    set_revision(postgres_url, "0000")
    try:
        with pytest.raises(DatabaseError, match=r"is at version 0000, .* `fumikura db upgrade`"):
            open_database(postgres_url)
    finally:
        set_revision(postgres_url, tables.SCHEMA_REVISION)


def test_a_file_of_a_newer_fumikura_is_left_alone(sqlite_url: str) -> None:
    set_revision(sqlite_url, "9999")

    with pytest.raises(DatabaseError, match=r"9999.* install the newer fumikura"):
        open_database(sqlite_url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("dear librarian " * 100)

    with pytest.raises(DatabaseError, match=r"letter\.txt is no database of fumikura"):
        open_database(f"sqlite:///{path}")


@pytest.mark.parametrize("opening", [open_database, upgrade])
def test_no_tables_are_added_to_those_of_another_program(
    tmp_path: Path, opening: Callable[[str], object]
) -> None:
    path = tmp_path / "sales.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sales (price INTEGER)")

        with pytest.raises(DatabaseError, match=r"sales\.db is no database of fumikura .*name another file"):
            opening(f"sqlite:///{path}")

        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("sales",)]


@pytest.mark.parametrize("opening", [open_database, upgrade])
def test_an_empty_file_gets_our_tables(tmp_path: Path, opening: Callable[[str], object]) -> None:
    path = tmp_path / "empty.db"
    path.touch()

    opening(f"sqlite:///{path}")

    engine = open_database(f"sqlite:///{path}")
    assert list_runs(engine) == []
    engine.dispose()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"there is no folder .*nowhere for the database; make it"):
        open_database(f"sqlite:///{tmp_path / 'nowhere' / 'new.db'}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://localhost/books", "'mysql' is no database that fumikura knows"),
        ("postgresql//sesame@books", "cannot be understood"),
        ("nonsense://sesame", "is no database that fumikura knows"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, told: str) -> None:
    with pytest.raises(DatabaseError, match=told) as caught:
        connect(url)

    assert "sesame" not in str(caught.value)


def shown_in_full(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_japanese_is_refused(postgres_server: Server, encoding: str) -> None:
    name, admin = f"in_{encoding.lower()}", connect(postgres_server.url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        )
    admin.dispose()

    with pytest.raises(DatabaseError, match=rf"is in {encoding}, .* ENCODING 'UTF8'"):
        upgrade(shown_in_full(make_url(postgres_server.url).set(database=name)))


def test_a_role_that_may_not_is_one_line(empty_postgres_url: str) -> None:
    owner = connect(empty_postgres_url)
    with owner.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE guest_of_tests LOGIN")
    try:
        with pytest.raises(DatabaseError, match=r"refuses: permission denied .* owner"):
            upgrade(shown_in_full(make_url(empty_postgres_url).set(username="guest_of_tests")))
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql("DROP ROLE guest_of_tests")
        owner.dispose()


def test_a_database_of_a_newer_version_names_the_remedy(empty_postgres_url: str) -> None:
    upgrade(empty_postgres_url)
    set_revision(empty_postgres_url, "9999")

    with pytest.raises(DatabaseError, match=r"is at version 9999, .*; install the newer fumikura"):
        open_database(empty_postgres_url)


def test_an_unreachable_database_is_one_line_without_its_password() -> None:
    with pytest.raises(DatabaseError, match=r"postgresql.*127\.0\.0\.1:1/books does not answer: ") as caught:
        open_database(_SECRET)

    message = str(caught.value)
    assert "sesame" not in message
    assert "\n" not in message
    assert "sesame" not in describe(_SECRET)


def test_sqlite_is_set_up_for_many_processes(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)

    with read_transaction(engine) as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert found == ["wal", 1, 1, 30_000]
    engine.dispose()
