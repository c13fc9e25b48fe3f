"""Rows of workers: who lives, who is gone, and which pages nobody reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.transactions import read_transaction
from fumikura.core.store.workers import (
    GONE_S,
    Card,
    State,
    list_workers,
    live_hosts,
    note_end,
    note_worker,
    remove_worker,
    short_name,
    unread_recipes,
    worker_names,
)
from tests.simple_store import OTHER_RECIPE, RECIPE, claim_pages, make_pages, start_run

CARD = Card("vm-3:b652e83d:4026531836/29543/3147.54", "vm-3/cuda:0", "vm-3", "cuda:0", RECIPE.digest)


def note(engine: Engine, card: Card = CARD, state: State = State.IDLE, reason: str | None = None) -> None:
    note_worker(engine, card, state, reason=reason, n_done=0)


def age(engine: Engine, seconds: float) -> None:
    """Let the words of all workers be so much older; younger, as after a clock was set back, if negative."""
    column = tables.worker.c.seen_at
    with engine.begin() as connection:
        for time in connection.scalars(tables.worker.select().with_only_columns(column)).all():
            earlier = {"seen_at": time - timedelta(seconds=seconds)}
            connection.execute(update(tables.worker).where(column == time).values(earlier))


def hosts(engine: Engine) -> set[str]:
    with read_transaction(engine) as connection:
        return live_hosts(connection, RECIPE.digest)


def test_a_worker_has_one_row_that_says_what_it_does_and_since_when(engine: Engine) -> None:
    note(engine)
    (idle,) = list_workers(engine)
    note_worker(engine, CARD, State.PAUSED, reason="no scans", n_done=3)

    (paused,) = list_workers(engine)

    assert (paused.worker, paused.state, paused.reason, paused.n_done) == (
        "vm-3/cuda:0",
        State.PAUSED,
        "no scans",
        3,
    )
    assert paused.started_at == idle.started_at
    assert paused.state_s is not None
    assert 0 <= paused.state_s < 5


def test_a_second_word_of_the_same_state_keeps_its_beginning(engine: Engine) -> None:
    note(engine)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with engine.begin() as connection:
        connection.execute(update(tables.worker).values(since=an_hour_ago))

    note(engine)

    (worker,) = list_workers(engine)
    assert worker.state_s == pytest.approx(3600, abs=5)


def test_pages_in_hand_and_the_end_of_their_leases_stand_beside_it(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    note(engine)
    claim_pages(engine, 2, worker=CARD.name)
    claim_pages(engine, 1, worker="old:1:2/77/1.00", lease_s=600)

    known, stranger = list_workers(engine)

    assert (known.n_pages, stranger.n_pages) == (2, 1)
    assert known.lease_ends_s == pytest.approx(60, abs=5)
    assert (stranger.worker, stranger.state) == ("old/77", None)
    assert stranger.lease_ends_s == pytest.approx(600, abs=5)


@pytest.mark.parametrize("seconds", [GONE_S + 1, -GONE_S - 10])
def test_one_that_is_not_heard_is_gone_also_where_the_clock_was_set_back(
    engine: Engine, seconds: float
) -> None:
    note(engine)

    age(engine, seconds)

    assert list_workers(engine)[0].state == State.GONE


def test_after_a_clock_was_set_back_a_host_counts_as_live_until_it_is_heard_again(engine: Engine) -> None:
    note(engine)

    age(engine, -600)
    after_the_step = hosts(engine)
    age(engine, 600 + GONE_S + 1)

    assert (after_the_step, hosts(engine)) == ({"vm-3"}, set())


def test_the_host_of_a_worker_that_ended_counts_until_the_next_one_took_its_place(engine: Engine) -> None:
    note(engine, CARD, State.READING)

    note_end(engine, CARD.name, "the last process ended with SIGKILL")
    (ended,) = list_workers(engine)
    between = hosts(engine)
    note(engine, replace(CARD, name="next"), State.STARTING)

    assert (ended.state, ended.reason) == (State.STARTING, "the last process ended with SIGKILL")
    assert between == {"vm-3"}
    assert worker_names(engine) == ["next"]


def test_a_worker_that_ends_takes_away_those_gone_for_an_hour(engine: Engine) -> None:
    note(engine)
    age(engine, 3700)
    note(engine, replace(CARD, name="young"))
    note(engine, replace(CARD, name="third"))

    remove_worker(engine, "young")

    assert worker_names(engine) == ["third"]


def test_hosts_count_for_the_recipe_that_they_read_for_all(engine: Engine) -> None:
    note(engine)
    note(engine, replace(CARD, name="a", host="other recipe", recipe_digest=OTHER_RECIPE.digest))
    note(engine, replace(CARD, name="b", host="run of its own", run_id=1))
    note(engine, replace(CARD, name="c", label="c", host="starting"), State.STARTING)
    note(engine, replace(CARD, name="d", host="paused"), State.PAUSED)

    assert hosts(engine) == {"vm-3", "paused", "starting"}


def test_pages_that_wait_in_a_recipe_without_workers_are_unread(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    start_run(engine, make_pages(2), recipe=OTHER_RECIPE)
    claim_pages(engine, 1, worker="gone")

    before = unread_recipes(engine)
    note(engine)
    after = unread_recipes(engine)

    assert [(one.recipe_digest, one.n_pages) for one in before] == [
        (RECIPE.digest, 2),
        (OTHER_RECIPE.digest, 2),
    ]
    assert before[0].segmenter_digest == RECIPE.segmenter_digest
    assert [one.recipe_digest for one in after] == [OTHER_RECIPE.digest]
    assert unread_recipes(engine, recipe_digest=RECIPE.digest) == []


def test_names_are_shortened_for_people() -> None:
    assert short_name(CARD.name) == "vm-3/29543"
    assert short_name("here") == "here"
