"""The feeder: whom it wakes, and whose pages it takes back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from fumikura.core.errors import BrokerError
from fumikura.core.settings import Settings
from fumikura.core.store.leases import leaseholders
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.upgrading import open_database
from fumikura.worker import feeder
from fumikura.worker.broker import check_broker, make_app, n_waiting, reached
from fumikura.worker.feeder import Feed, feed_once, feeding, keep_feeding, return_lost, wake_cluster
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.identity import worker_name
from tests.simple_reader import RECIPE, draw_pages
from tests.simple_store import claim_pages

#: Nothing listens on this port: it is the discard service's, long out of use.
DEAD_BROKER = "redis://localhost:9/0"


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Twelve queued pages, and three idle workers."""
    (tmp_path / "queue").mkdir()
    settings = Settings().overridden(
        database_url=str(tmp_path / "test.db"), broker_url=folder_url(tmp_path / "queue"), chunk_size=5
    )
    engine = open_database(settings.database_url)
    run_id = add_run(engine, RECIPE, command="run pages")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 12))
    return Feed(engine, make_app(settings, RECIPE), RECIPE, settings, n_idle=lambda: 3)


def count_messages(feed: Feed) -> int:
    with reached(feed.app) as connection:
        return n_waiting(feed.app, connection)


def test_each_idle_worker_gets_a_message_and_no_second_one(feed: Feed) -> None:
    feed_once(feed)
    feed_once(feed)

    assert count_messages(feed) == 3


def test_messages_that_the_broker_lost_are_sent_again(feed: Feed, tmp_path: Path) -> None:
    feed_once(feed)
    for message in (tmp_path / "queue").iterdir():
        message.unlink()

    feed_once(feed)

    assert count_messages(feed) == 3


def test_where_all_workers_read_nobody_is_woken(feed: Feed) -> None:
    feed_once(replace(feed, n_idle=lambda: 0))

    assert count_messages(feed) == 0


def test_where_nothing_waits_nobody_is_woken(feed: Feed) -> None:
    claim_pages(feed.engine, 12, recipe=RECIPE, worker=worker_name())

    feed_once(feed)

    assert count_messages(feed) == 0


def test_a_run_wakes_nobody_for_another_runs_pages(feed: Feed) -> None:
    other = add_run(feed.engine, RECIPE, command="run nothing")

    feed_once(replace(feed, run_id=other))

    assert count_messages(feed) == 0


def test_pages_that_come_back_wake_workers_in_the_same_look(feed: Feed) -> None:
    claim_pages(feed.engine, 12, recipe=RECIPE, worker="elsewhere/1/1.00", lease_s=0)

    feed_once(feed)

    assert count_messages(feed) == 3


def test_a_message_names_the_recipe_and_the_run_and_no_page(feed: Feed, tmp_path: Path) -> None:
    feed_once(replace(feed, run_id=1))

    (message, *_) = (tmp_path / "queue").iterdir()
    arguments, _options, _embedded = json.loads(b64decode(json.loads(message.read_text())["body"]))
    assert arguments == [RECIPE.digest, 1]


def test_a_worker_that_gets_idle_is_looked_after_at_once(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "PERIOD_S", 60.0)
    looks = threading.Semaphore(0)
    monkeypatch.setattr(feeder, "feed_once", lambda _feed: looks.release())

    with feeding(feed):
        assert looks.acquire(timeout=5)
        assert not looks.acquire(timeout=0.5)
        feed.hurry.set()
        assert looks.acquire(timeout=5)


def test_an_enqueue_sends_a_message_for_each_chunk(feed: Feed) -> None:
    wake_cluster(feed.settings, feed.engine, RECIPE)
    wake_cluster(feed.settings, feed.engine, RECIPE)

    assert count_messages(feed) == 3  # of 12 pages, 5 at once


def test_a_feeder_lives_on_after_an_error_that_nobody_foresaw(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, n_turns = threading.Event(), 0

    def fail_then_stop(_feed: Feed) -> None:
        nonlocal n_turns
        n_turns += 1
        if n_turns == 1:
            raise ValueError("nobody foresaw this")
        stop.set()

    monkeypatch.setattr(feeder, "feed_once", fail_then_stop)
    monkeypatch.setattr(feeder, "PERIOD_S", 0.01)
    monkeypatch.setattr(feeder, "SHORTEST_PERIOD_S", 0.0)
    monkeypatch.setattr(feeder, "LONGEST_PAUSE_S", 0.01)

    keep_feeding(feed, stop)

    assert n_turns == 2


def test_pages_of_a_dead_process_of_this_host_come_back_at_once(feed: Feed) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        dead, alive = worker_name(process.pid), worker_name()
        process.kill()
    for worker in (dead, alive, "elsewhere/1/1.00"):
        claim_pages(feed.engine, 1, recipe=RECIPE, worker=worker)

    return_lost(feed.engine, leaseholders(feed.engine), max_attempts=3)

    assert leaseholders(feed.engine) == sorted([alive, "elsewhere/1/1.00"])


def test_a_dead_broker_is_one_clear_line() -> None:
    with pytest.raises(BrokerError, match=r"^the queue redis://localhost:9/0 does not answer") as caught:
        check_broker(Settings(broker_url=DEAD_BROKER))

    assert "\n" not in str(caught.value)


def test_a_password_of_the_broker_does_not_show() -> None:
    with pytest.raises(BrokerError) as caught:
        check_broker(Settings(broker_url="redis://:secret@localhost:9/0"))

    assert "secret" not in str(caught.value)


def test_enqueueing_with_a_dead_broker_only_warns(feed: Feed, caplog: pytest.LogCaptureFixture) -> None:
    settings = replace(feed.settings, broker_url=DEAD_BROKER)

    with caplog.at_level(logging.WARNING):
        wake_cluster(settings, feed.engine, RECIPE)

    assert "the pages wait in the database" in caplog.text


def test_a_url_of_no_broker_is_one_clear_line() -> None:
    with pytest.raises(BrokerError, match="is no queue"):
        check_broker(Settings(broker_url="rdis://localhost/0"))


def test_without_a_broker_there_is_nothing_to_check() -> None:
    assert "none set" in check_broker(Settings())
