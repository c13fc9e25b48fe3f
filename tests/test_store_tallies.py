"""The counts that triggers keep are those that a count of all rows gives, whatever happened and at once."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event, func, select

from fumikura.core.errors import FumikuraError
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgetting import doomed_by_run, forget
from fumikura.core.store.leases import hand_back, return_leases
from fumikura.core.store.queries import cancel, list_runs, overview, retry, run_summary
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.tables import Status
from fumikura.core.store.tallies import count_again, count_pages, count_readings, total
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    claim_all,
    make_pages,
    make_reading,
    read_small_book,
    start_run,
)


def kept_counts(engine: Engine) -> dict[str, Any]:
    tally = tables.run_tally
    sums = [total(column) for column in tally.columns[2:]]
    with engine.connect() as connection:
        runs = connection.execute(select(tables.run.c.id, *sums).outerjoin(tally).group_by(tables.run.c.id))
        return {
            "runs": sorted(map(tuple, runs)),
            "readings": count_readings(connection),
            "pages": count_pages(connection),
        }


def counted_anew(engine: Engine) -> dict[str, Any]:
    with engine.begin() as connection:
        count_again(connection)
    return kept_counts(engine)


def test_a_book_with_failures_and_two_recipes_is_counted_right(engine: Engine) -> None:
    read_small_book(engine)

    counts = kept_counts(engine)

    assert counts["readings"] == {**dict.fromkeys(Status, 0), Status.DONE: 6, Status.FAILED: 1}
    assert counts["pages"] == 6
    assert counts == counted_anew(engine)


class Overtaken(Exception):  # noqa: N818
    """Somebody else forgot, cancelled or reads what was to be changed."""


def work(engine: Engine, number: int) -> None:
    """Do at random what operators and workers do with twelve pages."""
    choose, worker = random.Random(number), f"host/{number}/1.00"

    def read_some() -> None:
        for claimed in claim_all(engine, worker=worker)[:4]:
            if choose.random() < 0.3:
                save_failure(engine, claimed.reading_id, "is empty", worker=worker)
            elif choose.random() < 0.8:
                save_reading(engine, claimed.reading_id, make_reading("いろ"), worker=worker)
        if choose.random() < 0.5:
            hand_back(engine, worker)
        else:
            return_leases(engine, worker, 3)

    def ask() -> None:
        pages = choose.sample(make_pages(12), 6)
        start_run(engine, pages, recipe=choose.choice([RECIPE, OTHER_RECIPE]))

    def to_some_run(change: Callable[[int], object]) -> None:
        if runs := list_runs(engine):
            change(choose.choice(runs).run)

    deeds: list[Callable[[], object]] = [
        read_some,
        read_some,
        ask,
        lambda: to_some_run(lambda run: cancel(engine, run)),
        lambda: to_some_run(lambda run: retry(engine, run_id=run)),
        lambda: to_some_run(lambda run: forget(engine, doomed_by_run(engine, run))),
    ]
    for _ in range(12):
        with suppress(Overtaken):
            try:
                choose.choice(deeds)()
            except FumikuraError as error:
                if not re.search("there is no run|being read|was forgotten|was cancelled", str(error)):
                    raise
                raise Overtaken from error


@pytest.mark.slow
def test_counts_stay_right_while_many_ask_read_cancel_and_forget_at_once(engine: Engine) -> None:
    start_run(engine, make_pages(12))

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(work, engine, number) for number in range(4)]:
            job.result()

    with engine.connect() as connection:
        rows = connection.execute(select(func.count()).select_from(tables.reading)).scalar_one()
    counts = kept_counts(engine)
    assert sum(counts["readings"].values()) == rows
    assert counts == counted_anew(engine)


def test_a_summary_asks_no_table_that_grows(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(3))
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))

    summary, state = run_summary(engine, run_id), overview(engine)

    assert (summary.pages, summary.queued, state.n_pages, state.readings[Status.QUEUED]) == (3, 3, 3, 3)
    assert not [statement for statement in asked if "run_page" in statement]
    assert not [
        statement for statement in asked if "FROM page" in statement and "page_tally" not in statement
    ]


def test_a_number_too_large_for_any_run_is_no_run(engine: Engine) -> None:
    for run_id in (2**31, 2**63, 2**80):
        with pytest.raises(FumikuraError, match=f"^there is no run {run_id}; "):
            run_summary(engine, run_id)


def test_the_number_of_a_forgotten_run_or_page_is_nobody_elses(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(2))
    last_page = max(claimed.page_id for claimed in claim_all(engine))
    hand_back(engine, "host/1/1.00")
    forget(engine, doomed_by_run(engine, first))

    second, _ = start_run(engine, make_pages(2))

    assert second > first
    assert min(claimed.page_id for claimed in claim_all(engine)) > last_page
    with pytest.raises(FumikuraError, match="there is no run"):
        doomed_by_run(engine, first)


def test_asking_again_takes_no_numbers(postgres_url: str) -> None:
    from fumikura.core.store.upgrading import open_database

    engine = open_database(postgres_url)
    for _ in range(5):
        start_run(engine, make_pages(3))

    with engine.connect() as connection:
        last = {
            table: connection.exec_driver_sql(f"SELECT last_value FROM {table}_id_seq").scalar_one()
            for table in ("page", "page_source", "reading", "recipe", "run")
        }
    engine.dispose()
    assert last == {"page": 3, "page_source": 3, "reading": 3, "recipe": 1, "run": 5}
