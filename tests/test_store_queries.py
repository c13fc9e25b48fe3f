"""What `status`, `failed`, `retry` and `cancel` are told."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from fumikura.core.errors import FumikuraError
from fumikura.core.page import Scores
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import FailureReason, failure_reasons, failures
from fumikura.core.store.leases import hand_back, return_leases
from fumikura.core.store.lookup import get_page
from fumikura.core.store.pages import add_pages
from fumikura.core.store.queries import (
    cancel,
    list_runs,
    overview,
    retry,
    run_scores_by_book,
    run_summary,
)
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.scores import save_scores, unscored
from fumikura.core.store.tables import Status
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    WORKER,
    claim_all,
    claim_pages,
    make_page,
    make_pages,
    make_reading,
    make_truth,
    read_all,
    start_run,
)


def finish_one_of_each(engine: Engine) -> int:
    """A run in which page 1 was done before, 2 is done, 3 failed, 4 quarantined, 5 leased, 6 waits."""
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("い"))
    run_id, _ = start_run(engine, make_pages(6))
    claim_one(engine, 2)
    save_reading(engine, 2, make_reading("いろは"), worker=WORKER)
    claim_one(engine, 3)
    save_failure(engine, 3, "tale_003.jpg is empty", worker=WORKER)
    claim_one(engine, 4)
    return_leases(engine, WORKER, max_attempts=1)
    claim_one(engine, 5)
    return run_id


def claim_one(engine: Engine, reading_id: int) -> None:
    assert claim_pages(engine, 1, after=reading_id - 1)


def test_a_summary_counts_each_page_where_it_stands(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)

    summary = run_summary(engine, run_id)

    assert (summary.pages, summary.done, summary.failed, summary.skipped) == (6, 1, 2, 1)
    assert (summary.quarantined, summary.leased, summary.queued, summary.cancelled) == (1, 1, 1, 0)
    assert summary.characters == 1 + 3
    assert not summary.is_finished
    assert summary.recipe_digest == RECIPE.digest


def test_times_are_in_utc_and_now(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))

    created_at = run_summary(engine, run_id).created_at

    assert created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)


def test_a_run_with_another_recipe_counts_its_own_readings(engine: Engine) -> None:
    finish_one_of_each(engine)
    run_id, _ = start_run(engine, make_pages(6), recipe=OTHER_RECIPE)

    summary = run_summary(engine, run_id)

    assert (summary.pages, summary.queued, summary.skipped) == (6, 6, 0)


def test_runs_are_listed_newest_first(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(1))
    second, _ = start_run(engine, [])

    assert [(run.run, run.pages) for run in list_runs(engine)] == [(second, 0), (first, 1)]
    assert [run.run for run in list_runs(engine, limit=1)] == [second]


def test_a_run_that_does_not_exist_is_named(engine: Engine) -> None:
    for ask in (run_summary, cancel):
        with pytest.raises(FumikuraError, match="no run 7"):
            ask(engine, 7)
    with pytest.raises(FumikuraError, match="no run 7"):
        retry(engine, run_id=7)


def test_failures_say_which_page_where_and_why(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)
    other, _ = start_run(engine, make_pages(1))

    failed, quarantined = failures(engine, run_id)

    assert (failed.name, failed.member) == ("tale_003", "images/tale_003.jpg")
    assert (failed.status, failed.reason) == (Status.FAILED, "tale_003.jpg is empty")
    assert (quarantined.page_id, quarantined.status, quarantined.attempts) == (4, Status.QUARANTINED, 1)
    assert list(failures(engine)) == [failed, quarantined]
    assert list(failures(engine, other)) == []


def test_an_overview_counts_readings(engine: Engine) -> None:
    finish_one_of_each(engine)

    seen = overview(engine)

    assert (seen.n_pages, seen.n_runs) == (6, 2)
    assert seen.readings == {
        Status.QUEUED: 1,
        Status.LEASED: 1,
        Status.DONE: 2,
        Status.FAILED: 1,
        Status.QUARANTINED: 1,
        Status.CANCELLED: 0,
    }


def test_retry_queues_failed_and_quarantined_pages(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)

    assert retry(engine, run_id=run_id) == 2

    summary = run_summary(engine, run_id)
    assert (summary.failed, summary.queued, summary.done) == (0, 3, 1)


def test_retry_of_a_page_leaves_the_others(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)

    assert retry(engine, page="tale_004") == 1

    assert [failure.name for failure in failures(engine, run_id)] == ["tale_003"]


def test_retry_takes_back_what_a_lost_worker_left(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(2))
    for reading_id, lease_s in ((1, 0), (2, 60)):
        claim_pages(engine, 1, held=range(1, reading_id), lease_s=lease_s)
    time.sleep(0.01)

    assert retry(engine, run_id=run_id, reason="lost") == 0
    assert retry(engine, run_id=run_id) == 1
    assert not save_reading(engine, 1, make_reading("い"), worker=WORKER)
    assert save_reading(engine, 2, make_reading("い"), worker=WORKER)


def test_a_page_retried_has_all_its_attempts_again(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_one(engine, 1)
    return_leases(engine, WORKER, max_attempts=1)
    retry(engine)
    claim_one(engine, 1)

    return_leases(engine, WORKER, max_attempts=2)

    assert list(failures(engine)) == []


def test_cancel_takes_waiting_pages_out_of_the_queue(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)

    assert cancel(engine, run_id) == 1
    assert cancel(engine, run_id) == 0

    summary = run_summary(engine, run_id)
    assert (summary.cancelled, summary.queued, summary.leased) == (1, 0, 1)
    assert summary.is_cancelled


def test_cancel_leaves_what_another_run_asks_for(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(3))
    second, _ = start_run(engine, make_pages(2))

    assert cancel(engine, first) == 1
    assert run_summary(engine, second).queued == 2
    assert cancel(engine, second) == 2


@pytest.mark.parametrize("how", ["handed back", "lost"])
def test_a_page_in_hand_when_its_run_was_cancelled_does_not_come_back_into_the_queue(
    engine: Engine, how: str
) -> None:
    first, _ = start_run(engine, make_pages(3))
    second, _ = start_run(engine, make_pages(1))
    claim_all(engine)

    assert cancel(engine, first) == 0
    if how == "lost":
        return_leases(engine, WORKER, max_attempts=3)
    else:
        hand_back(engine, WORKER)

    summary = run_summary(engine, first)
    assert (summary.cancelled, summary.queued, summary.is_finished) == (2, 1, False)
    assert run_summary(engine, second).queued == 1  # page 1, for which it still asks


def test_a_page_retried_after_its_run_was_cancelled_is_asked_for_again(engine: Engine) -> None:
    run_id = finish_one_of_each(engine)
    hand_back(engine, WORKER)
    cancel(engine, run_id)

    assert retry(engine) == 2
    claim_all(engine)
    hand_back(engine, WORKER)

    summary = run_summary(engine, run_id)
    assert (summary.queued, summary.cancelled, summary.is_cancelled) == (2, 2, False)


def test_another_recipes_run_does_not_keep_a_page_in_the_queue(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(3))
    start_run(engine, make_pages(3), recipe=OTHER_RECIPE)

    assert cancel(engine, first) == 3


def test_scores_come_with_their_book(engine: Engine) -> None:
    pages = [make_page(1, book="tale"), make_page(2, book="diary"), make_page(3, book="tale")]
    run_id, _ = start_run(engine, pages)
    truth = make_truth("い")
    add_pages(engine, run_id, pages, truths={page.digest: truth for page in pages})
    for claimed, n_truth in zip(claim_all(engine), (1, 2, None), strict=True):
        scores = None if n_truth is None else Scores(n_truth=n_truth)
        save_reading(
            engine, claimed.reading_id, make_reading("い"), worker=WORKER, scores=scores, truth=truth
        )

    by_book = run_scores_by_book(engine, run_id)

    assert by_book == [("diary", Scores(n_truth=2)), ("tale", Scores(n_truth=1))]


def test_a_done_page_is_unscored_once_its_truth_is_known(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(3))
    read_all(engine, *[make_reading("い")] * 3)

    add_pages(engine, run_id, make_pages(2), truths={make_page(2).digest: make_truth("い")})

    assert unscored(engine, run_id) == [2]


def test_a_page_is_scored_until_its_truth_changes(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    read_all(engine, make_reading("い"))
    digest = make_page(1).digest
    add_pages(engine, run_id, make_pages(1), truths={digest: make_truth("い")})
    page = get_page(engine, 1)
    assert page.truth is not None

    save_scores(engine, 1, Scores(n_truth=1), truth=page.truth)

    assert page.reading is not None
    assert page.reading.text == "い"
    assert unscored(engine, run_id) == []
    add_pages(engine, run_id, make_pages(1), truths={digest: make_truth("い", "ろ")})
    assert unscored(engine, run_id) == [1]
    save_scores(engine, 1, Scores(n_truth=2), truth=make_truth("い", "ろ"))
    assert run_scores_by_book(engine, run_id) == [("tale", Scores(n_truth=2))]


def test_the_store_starts_without_heavy_packages() -> None:
    heavy = {"numpy", "PIL", "alembic", "torch", "sqlalchemy.orm", "psycopg"}
    modules = ", ".join(f"fumikura.core.store.{name}" for name in ("queries", "pages", "queue"))
    code = f"import sys, {modules}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert heavy.isdisjoint(loaded.split())


def test_failures_are_fetched_page_by_page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.store.failures._ROWS_AT_ONCE", 2)
    run_id, _ = start_run(engine, make_pages(5))
    for claimed in claim_all(engine):
        save_failure(engine, claimed.reading_id, f"{claimed.member} is empty", worker=WORKER)

    names = [failure.name for failure in failures(engine, run_id)]

    assert names == [f"tale_{number:03}" for number in range(1, 6)]
    assert [failure.name for failure in failures(engine, limit=3)] == names[:3]


def test_reasons_are_those_of_the_newest_failures(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.store.failures.FAILURES_COUNTED", 2)
    run_id, _ = start_run(engine, make_pages(3))
    other, _ = start_run(engine, [make_page(9)])
    for number, claimed in enumerate(claim_all(engine)[:3]):
        save_failure(engine, claimed.reading_id, "is old" if number == 0 else "is new", worker=WORKER)

    assert failure_reasons(engine, run_id) == [FailureReason(Status.FAILED, "is new", 2)]
    assert failure_reasons(engine, other) == []
