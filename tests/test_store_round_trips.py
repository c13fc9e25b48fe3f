"""What a page costs in questions to the database: the same for any number of characters and pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from fumikura.core.page import Scores, Suspicion
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import renew
from fumikura.core.store.saving import Result, save_failure, save_readings
from tests.simple_store import (
    OTHER_RECIPE,
    WORKER,
    claim_all,
    claim_pages,
    make_pages,
    make_reading,
    make_truth,
    read_all,
    start_run,
)

#: How a transaction that writes begins: SQLite is asked which machine holds the file; PostgreSQL is told to
#: end the transaction if the machine freezes. The driver sends BEGIN to PostgreSQL, and COMMIT to both.
BEGINS = {"sqlite": ["BEGIN", "SELECT"], "postgresql": ["SET"]}
MANY_ROWS = {"sqlite": "INSERT", "postgresql": "COPY"}


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The first word of each statement that is sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement.split()[0])

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("n_pages", "n_characters"), [(1, 1), (1, 2), (1, 400), (12, 30)])
def test_pages_are_saved_in_as_few_statements_however_many_and_however_much_stands_on_them(
    engine: Engine, n_pages: int, n_characters: int
) -> None:
    start_run(engine, make_pages(n_pages))
    reading = make_reading("い" * n_characters)
    results = [Result(claimed.reading_id, reading) for claimed in claim_all(engine)]

    with statements(engine) as sent:
        save_readings(engine, results, worker=WORKER)

    name = engine.dialect.name
    # Which of them are the worker's; the readings; their characters; the sizes of their pages.
    assert sent == [*BEGINS[name], "SELECT", "UPDATE", MANY_ROWS[name], "UPDATE"]


def test_scores_and_suspicions_take_a_statement_each_and_the_same_pages_sizes_none(engine: Engine) -> None:
    start_run(engine, make_pages(2), recipe=OTHER_RECIPE)
    read_all(engine, make_reading(), make_reading(), recipe=OTHER_RECIPE)
    start_run(engine, make_pages(2))
    reading = replace(make_reading(), suspicions=(Suspicion.UNSURE,))
    results = [
        Result(claimed.reading_id, reading, Scores(n_truth=1), make_truth("い"))
        for claimed in claim_all(engine)
    ]

    with statements(engine) as sent:
        save_readings(engine, results, worker=WORKER)

    assert sent == [*BEGINS[engine.dialect.name], "SELECT", "UPDATE", "INSERT", "INSERT"]


def test_a_failure_takes_one_statement(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)

    with statements(engine) as sent:
        save_failure(engine, 1, "gone", worker=WORKER)

    assert sent == [*BEGINS[engine.dialect.name], "UPDATE"]


@pytest.mark.parametrize("n_pages", [1, 50])
def test_a_chunk_is_claimed_and_renewed_in_as_few_statements_however_large(
    engine: Engine, n_pages: int
) -> None:
    start_run(engine, make_pages(n_pages))
    ids = list(range(1, n_pages + 1))
    begins = BEGINS[engine.dialect.name]

    with statements(engine) as claiming:
        claims = claim_pages(engine, n_pages)
    with statements(engine) as renewing:
        n_renewed = renew(engine, WORKER, ids, lease_s=60)

    # What it holds without knowing; those that wait; the lease. Then, in a transaction that locks nothing,
    # what the worker must know.
    look = ["BEGIN", "SELECT"] if engine.dialect.name == "sqlite" else ["SELECT"]
    assert claiming == [*begins, "SELECT", "SELECT", "UPDATE", *look]
    assert renewing == [*begins, "UPDATE"]
    assert len(claims) == n_renewed == n_pages
