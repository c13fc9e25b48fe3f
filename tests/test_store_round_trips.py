"""What a page costs in questions to the database: the same for any number of characters and pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from fumikura.core.page import Scores
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import renew
from fumikura.core.store.saving import save_failure, save_reading
from tests.simple_store import WORKER, claim_all, claim_pages, make_pages, make_reading, make_truth, start_run

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


@pytest.mark.parametrize("n_characters", [1, 2, 400])
def test_a_page_is_saved_in_as_few_statements_however_much_stands_on_it(
    engine: Engine, n_characters: int
) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)

    with statements(engine) as sent:
        save_reading(engine, 1, make_reading("い" * n_characters), worker=WORKER)

    name = engine.dialect.name
    # The reading; its characters, old and new; its old scores; the page's size.
    assert sent == [*BEGINS[name], "UPDATE", "DELETE", MANY_ROWS[name], "DELETE", "UPDATE"]


def test_scores_take_one_statement_more(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)

    with statements(engine) as sent:
        save_reading(
            engine, 1, make_reading(), worker=WORKER, scores=Scores(n_truth=1), truth=make_truth("い")
        )

    assert sent == [*BEGINS[engine.dialect.name], "UPDATE", "DELETE", "DELETE", "INSERT", "UPDATE"]


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
