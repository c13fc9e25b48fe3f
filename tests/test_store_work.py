"""What grows with the archive and what must not, in instructions of SQLite's own machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fumikura.core.store.connecting import Engine
from fumikura.core.store.feeding import announce
from fumikura.core.store.search import find_characters
from fumikura.core.store.upgrading import open_database
from tests.simple_store import RECIPE, make_pages, make_reading, read_all, start_run


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


@pytest.mark.parametrize("is_of_run", [False, True])
def test_feeding_costs_the_same_however_many_pages_wait(engine: Engine, is_of_run: bool) -> None:
    run_id, _ = start_run(engine, make_pages(100))

    def feed() -> list[list[int]]:
        asked = run_id if is_of_run else None
        return announce(
            engine, recipe_digest=RECIPE.digest, run_id=asked, window=8, chunk_size=8, announce_again_s=60
        )

    assert len(feed()) == 8
    among_few = instructions(engine, feed)
    run_id, _ = start_run(engine, make_pages(2000))
    among_many = instructions(engine, feed)

    assert among_many < 2 * among_few


def test_a_rare_phrase_costs_the_same_however_common_its_labels(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, make_reading("ん" * 50 + "いろ" + "ん" * 50), make_reading("に" * 400 + "は" * 400))

    rare = instructions(engine, lambda: find_characters(engine, "いろ"))
    common = instructions(engine, lambda: find_characters(engine, "には"))

    assert common < 2 * rare
