"""Transactions are kept whole or not at all, wait for each other, and tell when the database is away."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, text

from fumikura.core.errors import DatabaseError, FumikuraError
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine, connect
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import list_runs, run_summary
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import now, read_transaction, serialize_writers, write_transaction
from fumikura.core.store.upgrading import open_database, upgrade
from tests.servers import running_postgres
from tests.simple_store import RECIPE, make_pages


def test_a_machine_that_freezes_in_a_transaction_does_not_keep_its_locks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.store.connecting.IDLE_TRANSACTION_S", 1)
    frozen, alive = connect(postgres_url), connect(postgres_url)
    run_id = add_run(alive, RECIPE, command="fumikura run")
    rename = text("UPDATE run SET command = :it WHERE id = :run")

    def freeze() -> None:
        with write_transaction(frozen) as connection:
            connection.execute(rename, {"it": "frozen", "run": run_id})
            with write_transaction(alive) as other:  # waits for the row until the first is ended
                other.execute(rename, {"it": "alive", "run": run_id})
            connection.execute(rename, {"it": "thawed", "run": run_id})

    with pytest.raises(DatabaseError):
        freeze()

    assert [run.command for run in list_runs(alive)] == ["alive"]
    frozen.dispose()
    alive.dispose()


def test_a_run_that_is_forgotten_while_its_page_is_saved_is_an_outage_that_passes(postgres_url: str) -> None:
    engine = connect(postgres_url)
    count = insert(tables.run_tally).values(
        run_id=999, slot=1, **dict.fromkeys((*Status, "skipped", "characters"), 0)
    )

    with (
        pytest.raises(DatabaseError, match="was forgotten at this moment"),
        write_transaction(engine) as connection,
    ):
        connection.execute(count)

    engine.dispose()


@pytest.mark.slow
def test_a_database_that_goes_away_is_reported() -> None:
    with running_postgres() as server:
        upgrade(server.url)
        engine = open_database(server.url)
        server.kill()

        with pytest.raises(DatabaseError, match="does not answer"):
            list_runs(engine)
        engine.dispose()


def test_a_value_that_the_database_cannot_hold_is_one_line_and_no_outage(postgres_url: str) -> None:
    engine = open_database(postgres_url)

    for option, told in (
        ({"book": "zero\0byte"}, r"^the database postgresql.* takes no such value: .*$"),
        ({"run_id": 2**40}, r"^there is no run 1099511627776"),
    ):
        with pytest.raises(FumikuraError, match=told) as caught:
            find_pages(engine, **option)

        assert not isinstance(caught.value, DatabaseError)  # a worker would wait for its end
    engine.dispose()


def test_a_connection_that_the_server_ended_is_replaced(postgres_url: str) -> None:
    engine, other = open_database(postgres_url), open_database(postgres_url)
    with write_transaction(other) as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()")
        )
    other.dispose()

    assert list_runs(engine) == []
    engine.dispose()


def test_what_fails_halfway_is_not_kept(engine: Engine) -> None:
    def write_and_fail() -> None:
        with write_transaction(engine) as connection:
            connection.execute(insert(tables.gate).values(name="half", next_at=now(connection)))
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_and_fail()

    with read_transaction(engine) as connection:
        assert connection.execute(select(tables.gate)).all() == []


@pytest.mark.slow
def test_writers_wait_for_each_other_and_readers_for_none(engine: Engine) -> None:
    run_id = add_run(engine, RECIPE, command="fumikura run")
    writes, ends = threading.Event(), threading.Event()

    def write_for_long() -> None:
        with write_transaction(engine) as connection:
            serialize_writers(connection, "requests")
            connection.execute(insert(tables.gate).values(name="slow", next_at=now(connection)))
            writes.set()
            ends.wait(30)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(write_for_long)
        writes.wait(30)
        waiting = pool.submit(add_pages, engine, run_id, make_pages(2))

        assert run_summary(engine, run_id).pages == 0
        time.sleep(0.2)
        assert not waiting.done()
        ends.set()
        slow.result()
        assert waiting.result().n_queued == 2


@pytest.mark.slow
def test_a_locked_file_is_reported_after_a_while(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.store.connecting.LOCK_TIMEOUT_S", 0.2)
    engine = open_database(sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseError, match="database is locked"):
        add_run(engine, RECIPE, command="fumikura run")

    other.close()
    engine.dispose()
