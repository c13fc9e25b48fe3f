"""A reading is saved whole, once, and by the worker that holds its page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from fumikura.core.page import Reading, Scores, Suspicion
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.leases import leaseholders, return_leases
from fumikura.core.store.lookup import get_page
from fumikura.core.store.pages import add_pages
from fumikura.core.store.queries import run_scores_by_book, run_summary
from fumikura.core.store.saving import Result, save_failure, save_reading, save_readings
from fumikura.core.store.tables import Status
from tests.simple_store import (
    WORKER,
    claim_all,
    make_page,
    make_pages,
    make_reading,
    make_truth,
    row_of,
    start_run,
)


def test_a_reading_comes_back_as_it_was_saved(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    reading = make_reading("いろは", "にほ")

    assert save_reading(engine, claimed.reading_id, reading, worker=WORKER)

    details = get_page(engine, "tale_001")
    loaded = details.reading
    assert details.truth is None
    assert loaded is not None
    assert np.array_equal(loaded.mask, reading.mask)
    assert loaded == replace(reading, mask=loaded.mask)
    assert details.text == "いろは\nにほ"
    assert (details.width, details.height) == (300, 200)


def test_a_blank_page_is_done_with_no_characters(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    blank = Reading(np.zeros((4, 5), bool), (), 50, 40)

    assert save_reading(engine, claimed.reading_id, blank, worker=WORKER)

    summary = run_summary(engine, run_id)
    assert (summary.done, summary.characters) == (1, 0)
    assert get_page(engine, "tale_001").mean_confidence is None


def test_saving_a_reading_twice_keeps_one_copy(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)

    saved = [save_reading(engine, claimed.reading_id, make_reading("いろ"), worker=WORKER) for _ in range(2)]

    assert saved == [True, False]
    assert run_summary(engine, run_id).characters == 2


def test_a_worker_that_lost_its_lease_writes_nothing(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    return_leases(engine, WORKER, max_attempts=3)

    assert not save_reading(engine, claimed.reading_id, make_reading("い"), worker=WORKER)
    assert not save_failure(engine, claimed.reading_id, "broken", worker=WORKER)
    assert row_of(engine, claimed.reading_id)["status"] == Status.QUEUED


def test_what_another_worker_has_done_stays(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine, worker="slow")
    return_leases(engine, "slow", max_attempts=3)
    claim_all(engine, worker="quick")
    assert save_reading(engine, 1, make_reading("い"), worker="quick")

    assert not save_reading(engine, 1, make_reading("ろは"), worker="slow")

    assert get_page(engine, "tale_001").text == "い"


def test_a_reading_that_cannot_be_saved_leaves_nothing_behind(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    good = make_reading("いろ")
    nowhere = replace(good.characters[1], column_number=None)  # type: ignore[arg-type]
    broken = replace(good, characters=(good.characters[0], nowhere))

    with pytest.raises(IntegrityError):
        save_reading(engine, claimed.reading_id, broken, worker=WORKER)

    assert row_of(engine, claimed.reading_id)["status"] == Status.LEASED
    assert save_reading(engine, claimed.reading_id, good, worker=WORKER)


def test_scores_are_saved_with_the_reading(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    truth = {make_page(1).digest: make_truth("い")}
    add_pages(engine, run_id, make_pages(1), truths=truth)
    (claimed,) = claim_all(engine)
    scores = Scores(pixel_tp=3, pixel_fp=1, pixel_fn=0, pixel_tn=2, n_truth=2)

    save_reading(
        engine, claimed.reading_id, make_reading("い"), worker=WORKER, scores=scores, truth=make_truth("い")
    )

    assert run_scores_by_book(engine, run_id) == [("tale", scores)]


def test_scores_without_their_truth_are_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="truth"):
        save_reading(engine, 1, make_reading("い"), worker=WORKER, scores=Scores(n_truth=1))


def test_pages_are_saved_together_as_they_are_saved_alone(engine: Engine) -> None:
    start_run(engine, make_pages(4))
    claims = claim_all(engine)
    readings = [
        make_reading("いろは", "にほ"),
        replace(make_reading(), suspicions=(Suspicion.FEW, Suspicion.UNSURE)),
        Reading(np.zeros((4, 5), bool), (), 50, 40, {"segment": 1.5}),
        make_reading("\\N{,\t%", "気", confidence=0.25),
    ]
    scores = Scores(pixel_tp=3, pixel_fp=1, pixel_fn=0, pixel_tn=2, n_truth=2)
    results = [Result(claimed.reading_id, one) for claimed, one in zip(claims, readings, strict=True)]
    results[3] = replace(results[3], scores=scores, truth=make_truth("気"))

    saved = save_readings(engine, results, worker=WORKER)

    assert saved == {claimed.reading_id for claimed in claims}
    for claimed, reading in zip(claims, readings, strict=True):
        details = get_page(engine, claimed.page_id)
        loaded = details.reading
        assert loaded is not None
        assert np.array_equal(loaded.mask, reading.mask)
        assert loaded == replace(reading, mask=loaded.mask, suspicions=())
        assert (details.width, details.height) == (reading.width, reading.height)
        row = row_of(engine, claimed.reading_id)
        assert (row["status"], row["worker"], row["lease_until"]) == (Status.DONE, WORKER, None)
        assert row["finished_at"] is not None
    with engine.connect() as connection:
        suspicion = tables.suspicion.c
        suspicions = connection.execute(select(suspicion.reading_id, suspicion.reasons)).all()
    assert suspicions == [(claims[1].reading_id, f"{Suspicion.FEW}, {Suspicion.UNSURE}")]


def test_of_pages_saved_together_those_of_other_workers_are_left_to_them(engine: Engine) -> None:
    start_run(engine, make_pages(3))
    first, second, third = claim_all(engine)
    with engine.begin() as connection:
        is_second = tables.reading.c.id == second.reading_id
        connection.execute(update(tables.reading).where(is_second).values(worker="quick"))
    assert save_reading(engine, second.reading_id, make_reading("い"), worker="quick")

    results = [Result(claimed.reading_id, make_reading("ろは")) for claimed in (third, second, first)]
    saved = save_readings(engine, results, worker=WORKER)

    assert saved == {first.reading_id, third.reading_id}
    assert [get_page(engine, claimed.page_id).text for claimed in (first, second, third)] == [
        "ろは",
        "い",
        "ろは",
    ]


def test_a_reading_that_was_saved_before_is_replaced(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    old = replace(make_reading("いろは"), suspicions=(Suspicion.FEW,))
    scores, truth = Scores(n_truth=1), make_truth("い")
    save_reading(engine, claimed.reading_id, old, worker=WORKER, scores=scores, truth=truth)
    with engine.begin() as connection:
        connection.execute(update(tables.reading).values(status=Status.LEASED))

    assert save_reading(engine, claimed.reading_id, make_reading("に"), worker=WORKER)

    assert get_page(engine, claimed.page_id).text == "に"
    with engine.connect() as connection:
        for table in (tables.score, tables.suspicion):
            assert connection.scalar(select(func.count()).select_from(table)) == 0


def test_a_failure_keeps_its_reason(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)

    assert save_failure(engine, claimed.reading_id, "caf\udce9\0.jpg is empty", worker=WORKER)

    (failure,) = failures(engine, run_id)
    assert (failure.status, failure.attempts) == (Status.FAILED, 0)
    assert failure.reason == "caf?\ufffd.jpg is empty"
    assert leaseholders(engine) == []
