"""Many rows in one statement are part of their transaction, and come back as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from fumikura.core.errors import DatabaseError
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows
from fumikura.core.store.connecting import Engine, connect
from fumikura.core.store.lookup import get_page
from fumikura.core.store.rows import character_rows
from fumikura.core.store.saving import save_reading
from fumikura.core.store.transactions import write_transaction
from tests.simple_store import WORKER, claim_all, make_pages, make_reading, start_run


def test_what_the_wire_could_take_for_its_own_comes_back_as_it_was(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)
    reading = make_reading('\\\t\n"%{,', "\\N", "𛀁🀄")
    odd = replace(reading.characters[0], alternatives=(('"', 0.5), ("\\", 0.25), ("\t", 0.125)))
    reading = replace(reading, characters=(odd, *reading.characters[1:]))

    save_reading(engine, 1, reading, worker=WORKER)

    assert get_page(engine, 1).characters == reading.characters


def test_rows_go_when_their_transaction_fails(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    rows = character_rows(1, make_reading("いろは").characters)

    def write_and_fail() -> None:
        with write_transaction(engine) as connection:
            insert_rows(connection, tables.character, rows)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_and_fail()

    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.character)) == 0


def test_a_connection_that_is_lost_before_the_rows_is_an_outage(postgres_url: str) -> None:
    engine, other = connect(postgres_url), connect(postgres_url)
    start_run(engine, make_pages(1))
    rows = character_rows(1, make_reading("いろは").characters)

    def write_after_the_end() -> None:
        with write_transaction(engine) as connection, other.begin() as killer:
            process_id = connection.scalar(select(func.pg_backend_pid()))
            killer.execute(select(func.pg_terminate_backend(process_id, 5000)))
            insert_rows(connection, tables.character, rows)

    with pytest.raises(DatabaseError, match="does not answer"):
        write_after_the_end()

    with write_transaction(engine) as connection:
        insert_rows(connection, tables.character, rows)
    engine.dispose()
    other.dispose()
