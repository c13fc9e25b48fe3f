"""Who reads which page, and what becomes of pages whose worker is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, true, update

from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.leases import (
    GRACE_S,
    OUTAGE_S,
    hand_back,
    leaseholders,
    renew,
    return_expired,
    return_leases,
    return_page,
)
from fumikura.core.store.reading_status import change_readings
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import write_transaction
from tests.simple_store import WORKER, claim_all, claim_pages, make_pages, row_of, start_run


def pass_time(engine: Engine, seconds: float) -> None:
    """Make all that the database noted so much older."""
    with engine.begin() as connection:
        for table, name in ((tables.reading, "lease_until"), (tables.gate, "next_at")):
            column = table.c[name]
            for time in connection.scalars(select(column).where(column.is_not(None)).distinct()).all():
                earlier = {name: time - timedelta(seconds=seconds)}
                connection.execute(update(table).where(column == time).values(earlier))


@pytest.mark.slow
def test_claiming_renewing_and_returning_at_once_do_not_lock_each_other(engine: Engine) -> None:
    start_run(engine, make_pages(40))
    ids = list(range(1, 41))

    def work(number: int) -> None:
        worker = f"worker {number % 3}"
        for _ in range(10):
            claim_pages(engine, 40, worker=worker)
            renew(engine, worker, ids, lease_s=60)
            return_leases(engine, f"worker {(number + 1) % 3}", max_attempts=1000)
            hand_back(engine, worker)
            with write_transaction(engine) as connection:  # let them be claimed together again
                change_readings(connection, true(), chunk_limit=None)

    with ThreadPoolExecutor(6) as pool:
        for job in [pool.submit(work, number) for number in range(6)]:
            job.result()

    for worker in leaseholders(engine):
        hand_back(engine, worker)
    assert len(claim_all(engine)) == 40


def test_a_clean_hand_back_counts_against_no_page(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    before = row_of(engine, 1)
    claim_all(engine)

    assert hand_back(engine, WORKER) == 1
    assert row_of(engine, 1) == before


def test_pages_of_a_lost_worker_come_back_in_halves(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    sizes = []

    for _ in range(3):
        chunk = [claimed.reading_id for claimed in claim_pages(engine, 5)]
        sizes.append(len(chunk))
        return_leases(engine, WORKER, max_attempts=3)
        with engine.begin() as connection:
            others = tables.reading.c.id.not_in(chunk)
            connection.execute(update(tables.reading).where(others).values(status=Status.DONE))

    # Half of five is two, half of two is one.
    assert sizes == [5, 2, 1]


def test_only_a_page_that_was_alone_is_blamed(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    claim_all(engine)

    return_leases(engine, WORKER, max_attempts=1)

    assert [row_of(engine, number)["attempts"] for number in (1, 2)] == [0, 0]


def test_a_page_that_ends_three_workers_alone_is_quarantined(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    stands = []

    for _ in range(3):
        claim_all(engine)
        assert return_leases(engine, WORKER, max_attempts=3) == 1
        stands.append(row_of(engine, 1)["status"])

    assert stands == [Status.QUEUED, Status.QUEUED, Status.QUARANTINED]
    (failure,) = failures(engine, run_id)
    assert failure.attempts == 3
    assert "3 workers ended" in failure.reason
    assert claim_all(engine) == []


def test_a_page_that_its_worker_could_not_take_on_comes_back_alone_and_then_counts(engine: Engine) -> None:
    start_run(engine, make_pages(4))
    claim_all(engine)

    assert return_page(engine, 2, worker=WORKER, max_attempts=2, reason="too large")
    among_others = row_of(engine, 2)
    for _ in range(2):
        claim_pages(engine, 8, worker="other")
        assert return_page(engine, 2, worker="other", max_attempts=2, reason="too large")

    assert [among_others[name] for name in ("status", "attempts", "chunk_limit")] == ["queued", 0, 1]
    last = row_of(engine, 2)
    assert (last["status"], last["attempts"]) == ("quarantined", 2)
    assert last["error"] == "too large; `fumikura retry` tries it again"
    assert row_of(engine, 1)["status"] == "leased"
    assert not return_page(engine, 1, worker="other", max_attempts=2, reason="not its own")


def test_a_lease_that_is_renewed_does_not_expire(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    claim_pages(engine, 1, worker="alive", lease_s=5)
    claim_pages(engine, 1, worker="lost", lease_s=5)
    pass_time(engine, 6)

    assert renew(engine, "alive", [1], lease_s=60) == 1
    assert return_expired(engine, max_attempts=3) == 1

    assert leaseholders(engine) == ["alive"]
    assert row_of(engine, 2)["attempts"] == 1


def test_leases_that_ran_out_in_an_outage_count_against_no_page(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_pages(engine, 1, lease_s=5)
    return_expired(engine, max_attempts=3)

    pass_time(engine, OUTAGE_S + 1)

    assert return_expired(engine, max_attempts=3) == 0
    assert leaseholders(engine) == [WORKER]
    pass_time(engine, GRACE_S + 1)
    assert return_expired(engine, max_attempts=3) == 1


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_the_lost(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine, worker="lost")
    return_expired(engine, max_attempts=3)

    pass_time(engine, -600)  # all that was noted lies ten minutes in the future

    assert return_expired(engine, max_attempts=3) == 0
    pass_time(engine, GRACE_S + 1)
    assert return_expired(engine, max_attempts=3) == 1


def test_a_worker_that_lives_keeps_its_pages_when_the_clock_is_set_back(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine, worker="alive")
    return_expired(engine, max_attempts=3)
    pass_time(engine, -600)
    return_expired(engine, max_attempts=3)

    assert renew(engine, "alive", [1], lease_s=60) == 1
    pass_time(engine, GRACE_S + 1)
    assert return_expired(engine, max_attempts=3) == 0

    assert leaseholders(engine) == ["alive"]


def test_a_lease_that_its_worker_does_not_know_of_is_not_renewed(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    claim_pages(engine, 2, worker="alive", lease_s=5)
    pass_time(engine, 6)

    assert renew(engine, "alive", [2], lease_s=60) == 1
    assert return_expired(engine, max_attempts=3) == 1

    assert row_of(engine, 1)["status"] == Status.QUEUED
