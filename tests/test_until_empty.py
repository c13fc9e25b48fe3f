"""A worker that ends with its work, as batch schedulers want it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import add_run
from fumikura.core.store.remaining import Remaining, remaining
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.worker.launcher import work
from tests.simple_cluster import Cluster, queued_pages
from tests.simple_launcher import program
from tests.simple_reader import RECIPE as SIMPLE_RECIPE
from tests.simple_store import RECIPE, claim_pages, make_pages, make_reading, start_run

OTHER = Recipe("d" * 64, "e" * 64)
N_PAGES = 24


@pytest.fixture
def cluster(
    tmp_path: Path, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    monkeypatch.setenv("SIMPLE_PAGE_S", "0.1")
    monkeypatch.setenv("SIMPLE_READ_LOG", str(tmp_path / "read.log"))
    settings = Settings().overridden(
        database_url=postgres_url, broker_url=redis_url, devices="cpu", chunk_size=4, pages_per_batch=2
    )
    with queued_pages(tmp_path, settings, N_PAGES) as cluster:
        yield cluster


@pytest.mark.slow
def test_two_workers_end_by_themselves_when_all_is_read(cluster: Cluster) -> None:
    with (
        program(["work", "until-empty"], cluster.settings) as first,
        program(["work", "until-empty"], cluster.settings) as second,
    ):
        codes = [process.wait(timeout=60) for process in (first, second)]

    assert codes == [0, 0]
    assert cluster.summary.done == N_PAGES
    assert set(cluster.times_read.values()) == {1}


@pytest.mark.slow
def test_pages_in_other_hands_are_waited_for_and_read_if_they_come_back(cluster: Cluster) -> None:
    held = claim_pages(cluster.engine, N_PAGES, recipe=SIMPLE_RECIPE, worker="elsewhere", lease_s=6)
    assert len(held) == N_PAGES

    with program(["work", "until-empty"], cluster.settings) as worker:
        assert worker.wait(timeout=60) == 0

    assert cluster.summary.done == N_PAGES


def test_with_an_empty_queue_no_model_is_loaded(postgres_url: str, redis_url: str) -> None:
    settings = Settings().overridden(database_url=postgres_url, broker_url=redis_url, devices="cpu")
    started_s = time.monotonic()

    nothing = ("/nowhere/python",)
    assert work(settings, RECIPE, stop=threading.Event(), until_empty=True, command=nothing) is True

    assert time.monotonic() - started_s < 2


def test_what_waits_or_is_in_hand_is_left_and_what_ended_is_not(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    states = [remaining(engine, RECIPE.digest)]

    first, second = claim_pages(engine, 2, worker="w")
    states.append(remaining(engine, RECIPE.digest))
    save_reading(engine, first.reading_id, make_reading(), worker="w")
    save_failure(engine, second.reading_id, "broken", worker="w")

    assert states == [Remaining(of_recipe=True, of_others=False)] * 2
    assert remaining(engine, RECIPE.digest) == Remaining(of_recipe=False, of_others=False)


def test_pages_that_other_weights_must_read_are_told_of(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    add_run(engine, OTHER, command="enqueue nothing")

    assert remaining(engine, OTHER.digest) == Remaining(of_recipe=False, of_others=True)


@pytest.mark.parametrize(
    ("arguments", "is_empty", "code"),
    [(["--until-empty"], True, 0), (["--until-empty"], False, 130), ([], False, 0)],
)
def test_the_exit_code_tells_whether_something_is_left(
    arguments: list[str], is_empty: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def pretend(*_: object, until_empty: bool, **__: object) -> bool:
        asked.append(until_empty)
        return is_empty

    monkeypatch.setattr("fumikura.worker.launcher.work", pretend)

    result = CliRunner().invoke(main, ["worker", *arguments])

    assert (result.exit_code, asked) == (code, [bool(arguments)])
