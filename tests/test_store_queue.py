"""What waits, which of it a worker gets next, and among how many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, return_leases
from fumikura.core.store.queries import cancel
from fumikura.core.store.queue import glance, n_waiting_pages
from fumikura.core.store.tables import Status
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    WORKER,
    claim_all,
    claim_pages,
    make_page,
    make_pages,
    row_of,
    start_run,
)


def limit_chunks(engine: Engine, limits: dict[int, int]) -> None:
    with engine.begin() as connection:
        for reading_id, limit in limits.items():
            row = tables.reading.c.id == reading_id
            connection.execute(update(tables.reading).where(row).values(chunk_limit=limit))


def claim_ids(engine: Engine, n_pages: int, *, worker: str = WORKER, **more: object) -> list[int]:
    return [claimed.reading_id for claimed in claim_pages(engine, n_pages, worker=worker, **more)]  # type: ignore[arg-type]


def test_pages_come_in_their_order(engine: Engine) -> None:
    start_run(engine, make_pages(5))

    claimed = [claim_ids(engine, 3, worker=worker) for worker in ("first", "second", "third")]

    assert claimed == [[1, 2, 3], [4, 5], []]


def test_a_worker_that_holds_pages_gets_others(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    first = claim_ids(engine, 2)

    assert claim_ids(engine, 2, held=first) == [3, 4]


def test_a_claim_repeated_after_a_lost_answer_gives_the_same(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    first = claim_ids(engine, 1)
    lost = claim_pages(engine, 2, held=first)

    assert claim_pages(engine, 2, held=first) == lost


def test_what_lies_before_a_place_is_left_out(engine: Engine) -> None:
    start_run(engine, make_pages(5))

    assert claim_ids(engine, 2, after=3) == [4, 5]


def test_a_suspect_comes_among_few_or_alone(engine: Engine) -> None:
    start_run(engine, make_pages(7))
    limit_chunks(engine, {2: 1, 3: 2, 5: 2, 6: 100})

    claimed = [claim_ids(engine, 3, worker=f"worker {number}") for number in range(6)]

    # Who is left out comes first the next time.
    assert claimed == [[1], [2], [3, 4], [5, 6], [7], []]


def test_the_first_page_decides_how_many_come(engine: Engine) -> None:
    start_run(engine, make_pages(4))
    limit_chunks(engine, {1: 2})

    assert claim_ids(engine, 4) == [1, 2]


def test_a_suspect_does_not_come_to_a_worker_whose_hands_are_full(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    held = claim_ids(engine, 2)
    limit_chunks(engine, {3: 2, 4: 2})

    assert claim_ids(engine, 2, held=held) == []
    assert claim_ids(engine, 2, worker="with empty hands") == [3, 4]


def test_a_suspect_comes_to_a_worker_that_holds_few_enough(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    held = claim_ids(engine, 1)
    limit_chunks(engine, {2: 3, 3: 3, 4: 3})

    assert claim_ids(engine, 4, held=held) == [2, 3]


def test_a_page_that_got_company_later_is_not_to_blame_alone(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    held = claim_ids(engine, 1)
    claim_ids(engine, 2, held=held)

    return_leases(engine, WORKER, max_attempts=1)

    rows = [row_of(engine, number) for number in (1, 2, 3)]
    assert {row["status"] for row in rows} == {"queued"}
    assert {row["attempts"] for row in rows} == {0}
    assert {row["chunk_limit"] for row in rows} == {1}  # half of three, in whole pages


def test_what_was_handed_back_comes_again(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    claim_ids(engine, 3)
    hand_back(engine, WORKER)

    assert claim_ids(engine, 3) == [1, 2, 3]


def test_pages_of_a_run_are_claimed_by_that_run(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    run_id, _ = start_run(engine, [make_page(2), make_page(3)])

    assert claim_ids(engine, 8, run_id=run_id) == [2, 3]


def test_pages_of_another_recipe_are_not_claimed(engine: Engine) -> None:
    start_run(engine, make_pages(2), recipe=OTHER_RECIPE)

    assert claim_all(engine) == []
    assert len(claim_all(engine, recipe=OTHER_RECIPE)) == 2


def test_cancelled_pages_are_not_claimed(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(2))
    cancel(engine, run_id)

    assert claim_all(engine) == []


@pytest.mark.slow
def test_of_many_claimers_each_page_has_one(engine: Engine) -> None:
    start_run(engine, make_pages(60))

    def take(number: int) -> list[int]:
        taken: list[int] = []
        while new := claim_ids(engine, 4, worker=f"worker {number}", held=taken):
            taken += new
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [reading_id for ids in pool.map(take, range(8)) for reading_id in ids]
    # Each may have looked while the others had locked what was left.
    taken += claim_ids(engine, 60, worker="last")

    assert sorted(taken) == list(range(1, 61))
    with engine.connect() as connection:
        leased = select(func.count()).where(tables.reading.c.status == Status.LEASED)
        assert connection.scalar(leased) == 60


def test_a_glance_tells_whether_a_page_waits_and_who_reads(engine: Engine) -> None:
    nothing = glance(engine, RECIPE.digest)
    start_run(engine, make_pages(2))
    before, unasked = glance(engine, RECIPE.digest), glance(engine, RECIPE.digest, is_idle=False)
    claim_all(engine)
    after = glance(engine, RECIPE.digest)

    assert [one.some_wait for one in (nothing, before, unasked, after)] == [False, True, False, False]
    assert (before.holders, after.holders) == ((), (WORKER,))


def test_a_glance_for_a_run_sees_no_other_runs_pages(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    run_id, _ = start_run(engine, [make_page(3)])
    claim_pages(engine, 1, after=2)

    assert glance(engine, RECIPE.digest).some_wait
    assert not glance(engine, RECIPE.digest, run_id=run_id).some_wait


def test_waiting_pages_are_counted_no_further_than_asked(engine: Engine) -> None:
    start_run(engine, make_pages(5))
    start_run(engine, make_pages(5), recipe=OTHER_RECIPE)
    claim_pages(engine, 1)

    assert [n_waiting_pages(engine, RECIPE.digest, most=most) for most in (3, 9)] == [3, 4]
