"""The database that benchmarks fill by SQL: its rows are those that the store itself would make."""

from __future__ import annotations

import pytest

from benchmarks.big_store import RECIPE, Plan, fill
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages
from fumikura.core.store.queries import list_runs, overview
from tests.simple_store import make_page, start_run


@pytest.mark.parametrize("statistics", ["fresh", "all-queued", "all-done"])
def test_as_many_readings_stand_in_each_status_as_the_plan_says(engine: Engine, statistics: str) -> None:
    fill(engine, Plan(1000, n_done=600, n_failed=30, n_runs=4, n_characters=100, statistics=statistics))

    counts = {status.value: n for status, n in overview(engine).readings.items() if n}
    assert counts == {"done": 600, "failed": 30, "leased": 256, "queued": 114}
    assert [run.pages for run in list_runs(engine)] == [250] * 4
    assert len(list(failures(engine))) == 30


def test_the_store_goes_on_where_the_filling_ended(engine: Engine) -> None:
    fill(engine, Plan(300, n_done=20, n_failed=2, n_runs=1))

    run_id, added = start_run(engine, [make_page(1)], recipe=RECIPE)
    add_pages(engine, run_id, [make_page(2)])

    assert overview(engine).n_pages == 302
    assert added.n_queued == 1
