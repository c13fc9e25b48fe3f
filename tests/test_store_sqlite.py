"""What only a SQLite file has: one machine that writes, a disk that fills up, readers beside writers."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, select, update

from fumikura.core.errors import DatabaseError
from fumikura.core.page import PageImage, Reading
from fumikura.core.settings import Settings
from fumikura.core.store import tables, transactions
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import return_leases
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import list_runs, overview, run_summary
from fumikura.core.store.search import find_characters
from fumikura.core.store.transactions import write_transaction
from fumikura.core.store.upgrading import open_database
from fumikura.worker.outages import Stopped
from fumikura.worker.stream import Stream
from tests.simple_reader import RECIPE, SimpleReader, draw_pages
from tests.simple_store import claim_pages, make_pages, start_run


@pytest.fixture
def file(sqlite_url: str) -> Iterator[Engine]:
    engine = open_database(sqlite_url)
    yield engine
    engine.dispose()


def test_a_second_machine_is_refused_while_the_first_one_writes(
    file: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_run(file, make_pages(1))

    monkeypatch.setattr(transactions, "machine", lambda: "another")

    with pytest.raises(DatabaseError, match=r"^another machine writes into sqlite:.*; use PostgreSQL"):
        start_run(file, make_pages(2))
    assert overview(file).n_pages == 1  # reading is allowed


def test_a_machine_that_has_not_written_for_long_makes_room_for_the_next(
    file: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_run(file, make_pages(1))
    with file.begin() as connection:
        until = connection.scalars(select(tables.gate.c.next_at)).one()
        connection.execute(
            update(tables.gate).values(next_at=until - timedelta(seconds=transactions.HOLD_S + 1))
        )

    monkeypatch.setattr(transactions, "machine", lambda: "another")
    start_run(file, make_pages(2))

    assert overview(file).n_pages == 2


def test_a_page_that_finds_the_disk_full_waits_and_is_saved_when_there_is_room(
    tmp_path: Path, file: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.worker.outages.pause_s", lambda _n: 0.02)
    run_id = add_run(file, RECIPE, command="run pages")
    add_pages(file, run_id, draw_pages(tmp_path / "book", 1))
    room = Room(file)
    stream = Stream(file, WordyReader(room), settings=Settings(), worker="here", stop=threading.Event())

    with caplog.at_level(logging.WARNING):
        reading = threading.Thread(target=stream.read_waiting)
        reading.start()
        wait_for(lambda: "has no room left on its disk" in caplog.text)
        while_full = run_summary(file, run_id)
        room.give()
        reading.join(timeout=20)

    assert (while_full.leased, while_full.done, while_full.failed) == (1, 0, 0)
    assert (run_summary(file, run_id).done, run_summary(file, run_id).characters) == (1, 2)


def test_a_worker_told_to_stop_while_the_disk_is_full_leaves_the_page_to_the_next(
    tmp_path: Path, file: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.worker.outages.pause_s", lambda _n: 0.02)
    run_id = add_run(file, RECIPE, command="run pages")
    add_pages(file, run_id, draw_pages(tmp_path / "book", 2))
    room, stop = Room(file), threading.Event()
    stream = Stream(file, WordyReader(room), settings=Settings(), worker="here", stop=stop)
    threading.Timer(0.5, stop.set).start()

    with pytest.raises(Stopped):
        stream.read_waiting()
    room.give()
    return_leases(file, "here", max_attempts=3)

    summary = run_summary(file, run_id)
    assert summary.queued >= 1  # there may have been room for the first
    assert summary.queued + summary.done == 2


class Room:
    """A limit to the pages of the file, as a disk has one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_full = False
        event.listen(engine, "checkout", self._limit)

    def _limit(self, connection: sqlite3.Connection, *_: object) -> None:
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {used if self._is_full else 10**6}")

    def take(self) -> None:
        self._is_full = True

    def give(self) -> None:
        self._is_full = False


class WordyReader(SimpleReader):
    """Reads pages whose rows are too long for a full disk; when the first is read, it is."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self._room = room

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        self._room.take()
        mask = np.random.default_rng(0).random((400, 400)) < 0.5  # 20 kB, whatever packs it
        return [replace(reading, mask=mask) for reading in super().read(pages)]


_WORKER = """
import sys, threading, warnings
from fumikura.core.settings import Settings
from fumikura.core.store.upgrading import open_database
from tests.simple_reader import SimpleReader
from fumikura.worker.stream import Stream
engine = open_database(sys.argv[1])
stream = Stream(engine, SimpleReader(), settings=Settings(), worker=sys.argv[2], stop=threading.Event())
stream.read_waiting()
"""


@pytest.mark.slow
def test_two_workers_and_many_questions_at_once_never_meet_a_lock(tmp_path: Path, file: Engine) -> None:
    run_id = add_run(file, RECIPE, command="run pages")
    add_pages(file, run_id, draw_pages(tmp_path / "book", 60))
    command = [sys.executable, "-c", _WORKER, str(file.url)]
    root = Path(__file__).parents[1]
    workers = [
        subprocess.Popen([*command, name], cwd=root, stderr=subprocess.PIPE, text=True) for name in ("a", "b")
    ]

    n_questions = 0
    while any(worker.poll() is None for worker in workers):
        find_characters(file, "人")
        find_pages(file, text="人口")
        list_runs(file)
        n_questions += 1
    complaints = [worker.communicate()[1] for worker in workers]

    assert complaints == ["", ""]
    assert (run_summary(file, run_id).done, run_summary(file, run_id).characters) == (60, 120)
    assert n_questions > 3


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


def test_the_row_that_holds_the_file_is_written_seldom(file: Engine) -> None:
    start_run(file, make_pages(2))
    with file.connect() as connection:
        before = connection.scalars(select(tables.gate.c.next_at)).one()

    claim_pages(file, 1)
    with write_transaction(file):
        pass

    with file.connect() as connection:
        assert connection.scalars(select(tables.gate.c.next_at)).one() == before
