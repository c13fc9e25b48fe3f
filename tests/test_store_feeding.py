"""Whose turn it is to feed, and what is announced to the broker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from fumikura.core.store import tables
from fumikura.core.store.claiming import claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.feeding import announce, take_turn
from fumikura.core.store.leases import hand_back
from fumikura.core.store.queries import cancel
from tests.simple_store import OTHER_RECIPE, RECIPE, WORKER, make_page, make_pages, start_run


def announce_some(
    engine: Engine, *, window: int = 2, chunk_size: int = 3, again_s: float = 60, run_id: int | None = None
) -> list[list[int]]:
    return announce(
        engine,
        recipe_digest=RECIPE.digest,
        run_id=run_id,
        window=window,
        chunk_size=chunk_size,
        announce_again_s=again_s,
    )


def limit_chunks(engine: Engine, limits: dict[int, int]) -> None:
    with engine.begin() as connection:
        for reading_id, limit in limits.items():
            row = tables.reading.c.id == reading_id
            connection.execute(update(tables.reading).where(row).values(chunk_limit=limit))


def test_one_feeder_a_period_has_the_turn(engine: Engine) -> None:
    assert [take_turn(engine, period_s=60) for _ in range(3)] == [True, False, False]


def test_the_turn_comes_again_after_the_period(engine: Engine) -> None:
    take_turn(engine, period_s=0.05)
    time.sleep(0.06)

    assert take_turn(engine, period_s=0.05)


def test_each_recipe_has_its_own_turn(engine: Engine) -> None:
    take_turn(engine, period_s=60, recipe_digest=RECIPE.digest)

    assert take_turn(engine, period_s=60, recipe_digest=OTHER_RECIPE.digest)


@pytest.mark.slow
def test_of_many_feeders_at_once_one_has_the_turn(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(lambda _: take_turn(engine, period_s=60), range(24)))

    assert turns.count(True) == 1


def test_pages_go_out_in_chunks_in_their_order(engine: Engine) -> None:
    start_run(engine, make_pages(5))

    assert announce_some(engine) == [[1, 2, 3], [4, 5]]


def test_no_more_is_announced_than_the_window_holds(engine: Engine) -> None:
    start_run(engine, make_pages(9))

    assert announce_some(engine) == [[1, 2, 3], [4, 5, 6]]
    assert announce_some(engine) == []


def test_a_claimed_chunk_makes_room_for_the_next(engine: Engine) -> None:
    start_run(engine, make_pages(12))
    announce_some(engine)
    claim(engine, [1, 2, 3], recipe_digest=RECIPE.digest, worker=WORKER, lease_s=60)

    assert announce_some(engine) == [[7, 8, 9]]


def test_what_nobody_claimed_in_time_is_announced_again(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    announce_some(engine)

    assert announce_some(engine, again_s=0) == [[1, 2, 3]]


def test_what_was_handed_back_is_announced_at_once(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    announce_some(engine)
    claim(engine, [1, 2, 3], recipe_digest=RECIPE.digest, worker=WORKER, lease_s=60)
    hand_back(engine, WORKER)

    assert announce_some(engine) == [[1, 2, 3]]


def test_suspects_go_out_among_few_or_alone(engine: Engine) -> None:
    start_run(engine, make_pages(7))
    limit_chunks(engine, {2: 1, 3: 2, 5: 2, 6: 100})

    assert announce_some(engine, window=9) == [[1, 4, 6], [2], [3, 5], [7]]


def test_suspects_take_up_the_window_too(engine: Engine) -> None:
    start_run(engine, make_pages(7))
    limit_chunks(engine, dict.fromkeys(range(1, 8), 1))

    assert announce_some(engine, window=3) == [[1], [2], [3]]
    assert announce_some(engine, window=3) == []
    assert announce_some(engine, window=4) == [[4]]


def test_a_run_that_feeds_itself_announces_no_other_runs_pages(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    run_id, _ = start_run(engine, [make_page(2), make_page(3)])

    assert announce_some(engine, run_id=run_id) == [[2, 3]]


def test_pages_of_another_recipe_are_not_announced(engine: Engine) -> None:
    start_run(engine, make_pages(2), recipe=OTHER_RECIPE)

    assert announce_some(engine) == []


def test_cancelled_pages_are_not_announced(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(2))
    cancel(engine, run_id)

    assert announce_some(engine) == []
