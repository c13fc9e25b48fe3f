"""A machine that freezes, wherever that happens, stops no other. SIGSTOP itself is tests/chaos's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import delete, event, text, update

from fumikura.core.errors import DatabaseError
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, leaseholders, renew, return_expired
from fumikura.core.store.queries import list_runs
from fumikura.core.store.queue import glance
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, write_transaction
from fumikura.core.store.upgrading import open_database
from tests.simple_store import RECIPE, WORKER, claim_pages, make_pages, make_reading, start_run

_FROZEN, _LOST = "frozen/1/1.00", "lost/1/1.00"


@pytest.fixture
def engines(postgres_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Of a machine that will freeze, and of one that gives up when it has waited for a lock for a second."""
    frozen, alive = open_database(postgres_url), open_database(f"{postgres_url}&options=-c lock_timeout=1s")
    yield frozen, alive
    frozen.dispose()
    alive.dispose()


def prepare(engine: Engine) -> None:
    """Three pages: of a worker that was lost, of one that freezes for too long, and one that waits."""
    queued = {"status": Status.QUEUED, "worker": None, "lease_until": None}
    with engine.begin() as connection:
        connection.execute(delete(tables.gate))
        connection.execute(update(tables.reading).values(queued))
    for worker in (_LOST, _FROZEN):
        claim_pages(engine, 1, worker=worker, lease_s=0)


def feed(engine: Engine) -> None:
    """What a feeder does, without the broker."""
    return_expired(engine, 3)
    glance(engine, RECIPE.digest)


def read(engine: Engine, *, worker: str) -> None:
    """What a worker does with its next pages; its leases run out at once."""
    for claimed in claim_pages(engine, 2, worker=worker, lease_s=0):
        renew(engine, worker, [claimed.reading_id], lease_s=0)
        save_reading(engine, claimed.reading_id, make_reading("あ"), worker=worker)


class Thawed(Exception):  # noqa: N818
    """Ends what was frozen, as a session that PostgreSQL ended does."""


@contextmanager
def frozen_at(engine: Engine, n_statements: int, work: Callable[[], object]) -> Iterator[bool]:
    """Some work that stands still before its next statement; False if it was done sooner."""
    stands, thaws = threading.Event(), threading.Event()
    left = iter(range(n_statements))

    def freeze(*_: Any) -> None:
        if next(left, None) is None:
            stands.set()
            thaws.wait(30)
            raise Thawed

    def run() -> None:
        with suppress(Thawed):
            work()

    event.listen(engine, "before_cursor_execute", freeze)
    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive() and not stands.is_set():
        time.sleep(0.001)
    try:
        yield stands.is_set()
    finally:
        thaws.set()
        thread.join()
        event.remove(engine, "before_cursor_execute", freeze)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "least"),
    [
        (feed, 5),
        (lambda engine: read(engine, worker=_FROZEN), 10),
        (lambda engine: hand_back(engine, _FROZEN), 2),
        (lambda engine: save_failure(engine, 2, "torn", worker=_FROZEN), 2),
    ],
    ids=["feeding", "reading", "leaving", "failing"],
)
def test_wherever_a_machine_freezes_the_others_wait_for_no_lock(
    engines: tuple[Engine, Engine], work: Callable[[Engine], object], least: int
) -> None:
    frozen, alive = engines
    start_run(alive, make_pages(3))
    n_statements, is_frozen = 0, True
    while is_frozen:
        prepare(alive)
        with frozen_at(frozen, n_statements, lambda: work(frozen)) as is_frozen:
            feed(alive)
            read(alive, worker=WORKER)
        n_statements += 1

    assert n_statements > least


def test_a_session_that_waits_for_the_rest_of_a_statement_loses_its_locks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.store.transactions.BRIEF_S", 1)
    frozen, alive = open_database(postgres_url), open_database(f"{postgres_url}&options=-c lock_timeout=10s")
    run_id, _ = start_run(alive, [])
    rename = text("UPDATE run SET command = :it WHERE id = :run")

    with suppress(DatabaseError), brief_transaction(frozen) as connection:
        connection.execute(rename, {"it": "frozen", "run": run_id})
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.pgconn.enter_pipeline_mode()  # as psycopg does for many rows; PostgreSQL calls this active
        driver.pgconn.send_query_params(b"SELECT 1", None)
        driver.pgconn.send_flush_request()
        driver.pgconn.flush()
        with write_transaction(alive) as other:
            other.execute(rename, {"it": "alive", "run": run_id})

    assert [run.command for run in list_runs(alive)] == ["alive"]
    frozen.dispose()
    alive.dispose()


def test_a_claim_is_kept_before_its_truths_are_fetched(engines: tuple[Engine, Engine]) -> None:
    claims, watches = engines
    start_run(watches, make_pages(1))
    seen: list[list[str]] = []

    def look(_c: object, _d: object, statement: str, *_: Any) -> None:
        if "truth" in statement:
            seen.append(leaseholders(watches))

    event.listen(claims, "before_cursor_execute", look)
    claim_pages(claims, 1)

    assert seen == [[WORKER]]
