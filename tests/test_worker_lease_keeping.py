"""A worker that keeps its leases, and one that its broker forgot."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery

from fumikura.core.page import PageImage, Reading
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import leaseholders, return_expired
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.upgrading import open_database
from fumikura.core.store.workers import list_workers
from fumikura.worker import lease_keeping
from fumikura.worker.broker import make_app, reached, wake
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.hand import Hand
from fumikura.worker.lease_keeping import is_forgotten, start_watching
from fumikura.worker.reports import Reports
from fumikura.worker.stream import Stream
from tests.simple_launcher import wait_until
from tests.simple_reader import RECIPE, SimpleReader, draw_pages


@dataclass
class Desk:
    engine: Engine
    app: Celery
    stream: Stream
    reader: AskingReader


class AskingReader(SimpleReader):
    """Looks in the middle of its work how long it has been idle, and what it has in hand."""

    idle_s: float
    in_hand: Sequence[int]
    stream: Stream

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        self.idle_s = self.stream.idle_s
        self.in_hand = self.stream.in_hand
        return super().read(pages)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A worker that has had nothing to do for longer than usual."""
    monkeypatch.setattr(lease_keeping, "IDLE_S", 0.0)
    (tmp_path / "queue").mkdir()
    settings = Settings().overridden(
        database_url=str(tmp_path / "test.db"), broker_url=folder_url(tmp_path / "queue")
    )
    engine = open_database(settings.database_url)
    reader = AskingReader()
    stream = Stream(engine, reader, settings=settings, worker="here", stop=threading.Event())
    reader.stream = stream
    return Desk(engine, make_app(settings, RECIPE), stream, reader)


def take_page(desk: Desk, settings: Settings) -> None:
    """Have a page in hand, which nobody reads."""
    hand = Hand(
        desk.engine, RECIPE.digest, "here", settings=settings, stop=threading.Event(), reports=Reports()
    )
    assert len(hand.take()) == 1
    desk.stream.hand = hand


def send_message(app: Celery) -> None:
    with reached(app) as connection:
        wake(app, connection, RECIPE, 1)


def test_an_idle_worker_is_forgotten_if_messages_wait(desk: Desk) -> None:
    send_message(desk.app)

    assert is_forgotten(desk.app, desk.stream)


def test_an_idle_worker_without_messages_just_has_nothing_to_do(desk: Desk) -> None:
    assert not is_forgotten(desk.app, desk.stream)


def test_a_worker_that_had_work_lately_is_not_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeping, "IDLE_S", 60.0)
    send_message(desk.app)

    assert not is_forgotten(desk.app, desk.stream)


def test_a_worker_that_reads_is_not_idle(desk: Desk, tmp_path: Path) -> None:
    run_id = add_run(desk.engine, RECIPE, command="run book")
    add_pages(desk.engine, run_id, draw_pages(tmp_path / "book", 1))

    desk.stream.read_waiting()

    assert list(desk.reader.in_hand) == [1]
    assert list(desk.stream.in_hand) == []
    assert desk.reader.idle_s == 0.0
    assert desk.stream.idle_s > 0.0


def test_leases_are_renewed_as_long_as_the_worker_lives(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeping, "IDLE_S", 60.0)
    run_id = add_run(desk.engine, RECIPE, command="run book")
    add_pages(desk.engine, run_id, draw_pages(tmp_path / "book", 1))
    take_page(desk, Settings(lease_s=0.3))

    stop = threading.Event()
    start_watching(desk.engine, desk.app, desk.stream, settings=Settings(lease_s=0.3), stop=stop)
    time.sleep(0.6)
    n_returned = return_expired(desk.engine, max_attempts=3)
    stop.set()

    assert n_returned == 0
    assert leaseholders(desk.engine) == ["here"]


def test_leases_are_renewed_within_the_grace_after_an_outage_however_long_they_are(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_keeping, "IDLE_S", 60.0)
    monkeypatch.setattr(lease_keeping, "GRACE_S", 0.1)
    run_id = add_run(desk.engine, RECIPE, command="run book")
    add_pages(desk.engine, run_id, draw_pages(tmp_path / "book", 1))
    take_page(desk, Settings())

    stop = threading.Event()
    start_watching(desk.engine, desk.app, desk.stream, settings=Settings(lease_s=3600), stop=stop)

    wait_until(lambda: (list_workers(desk.engine)[0].lease_ends_s or 0) > 1800)
    stop.set()
