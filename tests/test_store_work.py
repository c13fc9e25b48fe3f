"""What grows with the archive and what must not, in instructions of SQLite's own machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.big_store import RECIPE as BIG_RECIPE
from benchmarks.big_store import Plan, fill
from fumikura.core.export.excerpt import first_lines
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failure_reasons, failures
from fumikura.core.store.leases import hand_back, renew, return_expired
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.queries import run_scores_by_book
from fumikura.core.store.queue import glance, n_waiting_pages
from fumikura.core.store.scores import unscored
from fumikura.core.store.search import find_characters
from fumikura.core.store.upgrading import open_database
from tests.simple_store import claim_pages, make_pages, make_reading, read_all, start_run


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    engine = open_database(sqlite_url)
    yield engine
    engine.dispose()


def instructions(engine: Engine, work: Callable[[], object]) -> int:
    """How many instructions some work takes, in tens."""
    n_tens = 0

    def count() -> None:
        nonlocal n_tens
        n_tens += 1

    with engine.connect() as connection:
        driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(count, 10)
    work()
    driver.set_progress_handler(None, 0)
    return n_tens


@pytest.mark.parametrize("statistics", ["fresh", "all-queued", "all-done"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: claim_pages(engine, 8, recipe=BIG_RECIPE),
        lambda engine: claim_pages(engine, 8, recipe=BIG_RECIPE, run_id=2),
        lambda engine: n_waiting_pages(engine, BIG_RECIPE.digest, most=100),
        lambda engine: glance(engine, BIG_RECIPE.digest),
        lambda engine: renew(engine, "host/7/1.00", range(1, 9), lease_s=60),
        lambda engine: return_expired(engine, max_attempts=3),
    ],
    ids=["claim", "claim of a run", "count", "glance", "renew", "sweep"],
)
def test_the_queue_costs_the_same_however_many_pages_are_done_or_wait(
    tmp_path: Path, ask: Callable[[Engine], object], statistics: str
) -> None:
    costs = []
    for n_pages in (1000, 10_000):
        engine = open_database(f"sqlite:///{tmp_path}/{n_pages}.db")
        n_done = n_pages // 2
        fill(engine, Plan(n_pages, n_done, n_failed=10, n_runs=2, n_characters=10, statistics=statistics))
        costs.append(instructions(engine, lambda: ask(engine)))  # noqa: B023
        engine.dispose()

    assert costs[1] < 2 * costs[0]


BEHIND_OTHERS: dict[str, Callable[[Engine, int], object]] = {
    "claim": lambda engine, run_id: claim_pages(
        engine, 8, recipe=BIG_RECIPE, worker="one/1/1", run_id=run_id
    ),
    "claim of a run that is done": lambda engine, _: claim_pages(
        engine, 8, recipe=BIG_RECIPE, worker="two/1/1", run_id=1
    ),
    "glance": lambda engine, run_id: glance(engine, BIG_RECIPE.digest, run_id=run_id),
    "suspicious pages of all runs": lambda engine, _: find_pages(engine, is_suspicious=True, limit=5),
}


@pytest.mark.parametrize("statistics", ["fresh", "all-queued", "all-done"])
def test_a_run_is_claimed_at_the_same_cost_however_many_pages_of_others_wait_before_its_own(
    tmp_path: Path, statistics: str
) -> None:
    costs = []
    for n_pages in (1000, 10_000):
        engine = open_database(f"sqlite:///{tmp_path}/{n_pages}.db")
        n_runs = n_pages // 250
        plan = Plan(n_pages, n_pages // 5, 10, n_runs, n_characters=10, one_in=4, statistics=statistics)
        fill(engine, plan)
        asked = {name: lambda ask=ask: ask(engine, n_runs) for name, ask in BEHIND_OTHERS.items()}  # noqa: B023
        costs.append({name: instructions(engine, ask) for name, ask in asked.items()})
        engine.dispose()

    grown = {name: (costs[0][name], cost) for name, cost in costs[1].items() if cost >= 2 * costs[0][name]}
    assert grown == {}


def test_to_claim_and_to_hand_back_cost_the_same_however_many_runs_there_are(tmp_path: Path) -> None:
    costs = []
    for n_runs in (4, 100):
        engine = open_database(f"sqlite:///{tmp_path}/{n_runs}.db")
        fill(engine, Plan(1000, n_done=100, n_failed=10, n_runs=n_runs, n_characters=10))
        claimed = instructions(engine, lambda: claim_pages(engine, 8, recipe=BIG_RECIPE, worker="one/1/1"))  # noqa: B023
        costs.append((claimed, instructions(engine, lambda: hand_back(engine, "one/1/1"))))  # noqa: B023
        engine.dispose()

    assert costs[1][0] < 1.5 * costs[0][0]
    assert costs[1][1] < 1.5 * costs[0][1]


OF_A_RUN: dict[str, Callable[[Engine, int], object]] = {
    "scores": run_scores_by_book,
    "unscored": unscored,
    "first lines": first_lines,
    "reasons": failure_reasons,
    "failed": lambda engine, run_id: list(failures(engine, run_id, limit=50)),
    "pages": lambda engine, run_id: find_pages(engine, run_id=run_id),
    "dice": lambda engine, run_id: find_pages(engine, run_id=run_id, max_dice=1),
    "confidence": lambda engine, run_id: find_pages(engine, run_id=run_id, order="confidence"),
}


@pytest.mark.parametrize("statistics", ["fresh", "all-queued", "all-done"])
def test_a_run_is_told_of_at_the_same_cost_however_many_pages_others_asked_for(
    tmp_path: Path, statistics: str
) -> None:
    costs = []
    for n_pages in (1000, 10_000):
        engine = open_database(f"sqlite:///{tmp_path}/{n_pages}.db")
        n_runs, n_failed = n_pages // 250, n_pages // 50
        fill(engine, Plan(n_pages, n_pages // 2, n_failed, n_runs, one_in=10, statistics=statistics))
        asked = {name: lambda ask=ask: ask(engine, n_runs // 2) for name, ask in OF_A_RUN.items()}  # noqa: B023
        costs.append({name: instructions(engine, ask) for name, ask in asked.items()})
        engine.dispose()

    grown = {name: (costs[0][name], cost) for name, cost in costs[1].items() if cost >= 2 * costs[0][name]}
    assert grown == {}


def test_a_rare_phrase_costs_the_same_however_common_its_labels(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("ん" * 50 + "いろ" + "ん" * 50), make_reading("に" * 400 + "は" * 400))

    rare = instructions(engine, lambda: find_characters(engine, "いろ"))
    common = instructions(engine, lambda: find_characters(engine, "には"))

    assert common < 2 * rare
