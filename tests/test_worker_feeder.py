"""The feeder: what is announced to the broker, and when."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fumikura.core.errors import BrokerError
from fumikura.core.settings import Settings
from fumikura.core.store.claiming import claim
from fumikura.core.store.leases import leaseholders
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.upgrading import open_database
from fumikura.worker import feeder
from fumikura.worker.broker import check_broker, make_app, n_waiting, reached
from fumikura.worker.feeder import Feed, announce_more, announce_now, feed_once, keep_feeding, return_lost
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.identity import worker_name
from tests.simple_reader import RECIPE, draw_pages

#: Nothing listens on this port: it is the discard service's, long out of use.
DEAD_BROKER = "redis://localhost:9/0"


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Twelve queued pages, to be announced three a chunk and at most two chunks ahead."""
    (tmp_path / "queue").mkdir()
    settings = Settings().overridden(
        database_url=str(tmp_path / "test.db"),
        broker_url=folder_url(tmp_path / "queue"),
        window=2,
        chunk_size=3,
    )
    engine = open_database(settings.database_url)
    run_id = add_run(engine, RECIPE, command="run pages")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 12))
    return Feed(engine, make_app(settings, RECIPE), RECIPE, settings, run_id=run_id)


def count_messages(feed: Feed) -> int:
    with reached(feed.app) as connection:
        return n_waiting(feed.app, connection)


def test_a_window_of_chunks_is_announced_and_no_more(feed: Feed) -> None:
    feed_once(feed)
    feed_once(feed)

    assert count_messages(feed) == 2


def test_what_was_claimed_makes_room_for_the_next_chunk(feed: Feed, tmp_path: Path) -> None:
    feed_once(feed)
    min((tmp_path / "queue").iterdir()).unlink()
    claim(feed.engine, [1, 2, 3], recipe_digest=RECIPE.digest, worker=worker_name(), lease_s=60)

    feed_once(feed)

    assert count_messages(feed) == 2


def test_messages_that_the_broker_lost_are_sent_again_in_time(feed: Feed, tmp_path: Path) -> None:
    feed_once(feed)
    for message in (tmp_path / "queue").iterdir():
        message.unlink()

    feed_once(feed)
    assert count_messages(feed) == 0

    announce_more(feed, announce_again_s=0.0)
    assert count_messages(feed) == 2


def test_messages_that_still_wait_are_not_sent_again_however_old(feed: Feed) -> None:
    feed_once(feed)

    announce_more(feed, announce_again_s=0.0)

    assert count_messages(feed) == 2


def test_a_new_run_does_not_wait_for_what_a_killed_one_announced(feed: Feed, tmp_path: Path) -> None:
    feed_once(feed)
    (tmp_path / "new queue").mkdir()
    settings = replace(feed.settings, broker_url=folder_url(tmp_path / "new queue"))
    resumed = replace(feed, app=make_app(settings, RECIPE), settings=settings)
    stop = threading.Event()
    stop.set()

    keep_feeding(resumed, stop)

    assert count_messages(resumed) == 2


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
    monkeypatch.setattr(feeder, "LONGEST_PAUSE_S", 0.01)

    keep_feeding(feed, stop)

    assert n_turns == 2


def test_only_one_feeder_of_a_cluster_has_its_turn(feed: Feed) -> None:
    cluster = replace(feed, run_id=None, settings=replace(feed.settings, window=1))
    feed_once(cluster)
    other = replace(cluster, settings=replace(cluster.settings, window=10))

    feed_once(other)

    assert count_messages(feed) == 1


def test_pages_of_a_dead_process_of_this_host_come_back_at_once(feed: Feed) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        dead, alive = worker_name(process.pid), worker_name()
        process.kill()
    claim(feed.engine, [1], recipe_digest=RECIPE.digest, worker=dead, lease_s=60)
    claim(feed.engine, [2], recipe_digest=RECIPE.digest, worker=alive, lease_s=60)
    claim(feed.engine, [3], recipe_digest=RECIPE.digest, worker="elsewhere/1/1.00", lease_s=60)

    return_lost(feed.engine, max_attempts=3)

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
        announce_now(settings, feed.engine, RECIPE)

    assert "the pages wait in the database" in caplog.text


def test_a_url_of_no_broker_is_one_clear_line() -> None:
    with pytest.raises(BrokerError, match="is no queue"):
        check_broker(Settings(broker_url="rdis://localhost/0"))


def test_without_a_broker_there_is_nothing_to_check() -> None:
    assert "none set" in check_broker(Settings())
