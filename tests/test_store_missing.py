"""Pages that one host does not find go to others, and fail when several, or all, missed them."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.missing import Miss, forgive, is_not_missed_on, note_miss
from fumikura.core.store.queries import cancel, retry
from fumikura.core.store.tables import Status
from fumikura.core.store.workers import Card, State, note_worker, remove_worker
from tests.simple_store import OTHER_RECIPE, RECIPE, make_pages, row_of, start_run

HOSTS = ("a", "b", "c", "d")


@pytest.fixture
def _four_hosts(engine: Engine) -> None:
    for host in HOSTS:
        card = Card(f"worker {host}", f"{host}/cpu", host, "cpu", RECIPE.digest)
        note_worker(engine, card, State.IDLE, reason=None, n_done=0)


def miss(engine: Engine, host: str, reading_id: int = 1) -> Miss:
    """Lease a page to a host's worker, which then does not find it."""
    worker, reading = f"worker {host}", tables.reading.c
    with engine.begin() as connection:
        leased = {"status": Status.LEASED, "worker": worker, "lease_size": 1}
        connection.execute(update(tables.reading).where(reading.id == reading_id).values(leased))
    return note_miss(
        engine, reading_id, "/scans is gone", worker=worker, host=host, recipe_digest=RECIPE.digest
    )


def may_read(engine: Engine, host: str) -> list[int]:
    """Readings that a host has not missed."""
    wanted = select(tables.reading.c.id).where(is_not_missed_on(host)).order_by(tables.reading.c.id)
    with engine.connect() as connection:
        return list(connection.scalars(wanted))


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_that_a_host_misses_waits_for_the_others(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    before = row_of(engine, 1)

    assert miss(engine, "a") is Miss.FIRST

    after = row_of(engine, 1)
    assert (after.pop("missed_on"), before.pop("missed_on")) == ("\na\n", None)
    assert after == before  # nothing counts against the page
    assert (may_read(engine, "a"), may_read(engine, "b")) == ([2], [1, 2])


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_fails_when_three_hosts_missed_it_and_names_them(engine: Engine) -> None:
    start_run(engine, make_pages(1))

    assert [miss(engine, host) for host in ("b", "a", "c")] == [Miss.FIRST, Miss.SHARED, Miss.FAILED]

    (failure,) = failures(engine)
    assert (failure.status, failure.reason) == (Status.FAILED, "not found on a, b, c: /scans is gone")
    assert row_of(engine, 1)["missed_on"] is None


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_fails_when_all_that_live_missed_it(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    for host in ("c", "d"):
        remove_worker(engine, f"worker {host}")

    assert [miss(engine, host) for host in ("a", "b")] == [Miss.FIRST, Miss.FAILED]


def test_where_no_other_host_lives_a_page_fails_at_once_with_the_plain_reason(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    others = Card("worker z", "z/cpu", "z", "cpu", OTHER_RECIPE.digest)
    note_worker(engine, others, State.IDLE, reason=None, n_done=0)

    assert miss(engine, "a") is Miss.ALONE

    (failure,) = failures(engine)
    assert failure.reason == "/scans is gone"


@pytest.mark.usefixtures("_four_hosts")
def test_the_same_host_twice_is_one_host(engine: Engine) -> None:
    start_run(engine, make_pages(1))

    assert [miss(engine, "a") for _ in range(4)] == [Miss.FIRST] * 4


@pytest.mark.usefixtures("_four_hosts")
def test_names_of_hosts_are_told_apart_though_one_holds_the_other(engine: Engine) -> None:
    start_run(engine, make_pages(1))

    miss(engine, "a_%")

    assert [may_read(engine, host) for host in ("a_%", "a", "_%", "ab%")] == [[], [1], [1], [1]]


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_that_is_another_worker_s_by_now_is_left_alone(engine: Engine) -> None:
    start_run(engine, make_pages(1))

    lost = note_miss(engine, 1, "gone", worker="worker a", host="a", recipe_digest=RECIPE.digest)

    assert lost is Miss.LOST
    assert row_of(engine, 1)["missed_on"] is None


@pytest.mark.usefixtures("_four_hosts")
def test_a_host_is_forgiven_what_it_missed_and_the_others_are_not(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    for host, reading_id in (("a", 1), ("b", 1), ("a", 2), ("b", 3)):
        miss(engine, host, reading_id)

    assert forgive(engine, recipe_digest=OTHER_RECIPE.digest, host="a") == 0
    assert forgive(engine, recipe_digest=RECIPE.digest, host="a") == 2

    assert [row_of(engine, number)["missed_on"] for number in (1, 2, 3)] == ["\nb\n", None, "\nb\n"]


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_that_is_asked_for_again_was_missed_by_nobody(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    for host in HOSTS[:3]:
        miss(engine, host)

    assert retry(engine) == 1
    assert may_read(engine, "a") == [1]
    assert miss(engine, "a") is Miss.FIRST


@pytest.mark.usefixtures("_four_hosts")
def test_a_page_of_a_cancelled_run_goes_to_nobody(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    with engine.begin() as connection:
        leased = {"status": Status.LEASED, "worker": "worker a", "lease_size": 1}
        connection.execute(update(tables.reading).values(leased))
    cancel(engine, run_id)

    note_miss(engine, 1, "gone", worker="worker a", host="a", recipe_digest=RECIPE.digest)

    assert row_of(engine, 1)["status"] == Status.CANCELLED
