"""What a launcher serves for Prometheus and for a health check."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from fumikura.cli.main import main
from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import connect
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.worker import health
from fumikura.worker.broker import make_app
from fumikura.worker.feeder import Feed
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.health import Pulse, stall_limit_s, watch_health
from fumikura.worker.metrics_server import serving
from fumikura.worker.prometheus import Metrics
from fumikura.worker.reports import listen
from tests.servers import free_port
from tests.simple_launcher import children, program, wait_until
from tests.simple_reader import KILLS, RECIPE, draw_pages
from tests.simple_store import claim_pages


def test_work_that_stands_still_turns_red_after_the_limit() -> None:
    pulse = Pulse(limit_s=10)

    pulse.note(100.0, n_steps=0, work="3 pages queued")
    pulse.note(109.0, n_steps=0, work="3 pages queued")

    assert not pulse.is_red(110.0)
    assert pulse.is_red(110.1)
    assert "3 pages queued" in pulse.line(110.1)


def test_a_step_starts_the_time_anew() -> None:
    pulse = Pulse(limit_s=10)
    pulse.note(100.0, n_steps=0, work="3 pages queued")

    pulse.note(109.0, n_steps=1, work="2 pages queued")

    assert not pulse.is_red(119.0)
    assert pulse.is_red(119.1)


def test_nothing_to_do_is_green_for_ever() -> None:
    pulse = Pulse(limit_s=10)
    pulse.note(100.0, n_steps=0, work="3 pages queued")

    pulse.note(105.0, n_steps=0, work=None)

    assert not pulse.is_red(1e9)


def test_the_limit_leaves_a_page_that_hangs_the_time_to_be_found_out() -> None:
    # Four pages of 300 s each may take 1200 s together, before the watchdog ends their worker.
    assert stall_limit_s(Settings(page_time_limit_s=300, pages_per_batch=4)) == 1500
    assert stall_limit_s(Settings(stall_limit_s=60)) == 60


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and sorted label values."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health_is_503_only_while_red() -> None:
    pulse, port = Pulse(limit_s=0.0), free_port()

    with serving("127.0.0.1", port, CollectorRegistry(), pulse):
        idle = get(port, "/healthz")
        pulse.note(time.monotonic() - 1, n_steps=0, work="3 pages queued")
        stalled = get(port, "/healthz")

    assert idle == (200, "idle\n")
    assert stalled[0] == 503
    assert stalled[1].startswith("3 pages queued; no step for 1 s")


def test_other_paths_are_not_found() -> None:
    port = free_port()
    with serving("127.0.0.1", port, CollectorRegistry(), Pulse(1)):
        assert get(port, "/etc/passwd")[0] == 404


def test_other_machines_are_answered_only_where_the_operator_says_so() -> None:
    assert Settings().metrics_host == "127.0.0.1"
    assert "FUMIKURA_METRICS_HOST; default: 127.0.0.1" in " ".join(
        CliRunner().invoke(main, ["worker", "--help"]).output.split()
    )


def test_an_address_of_the_sixth_version_is_one_too() -> None:
    port = free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")

    with serving("::1", port, CollectorRegistry(), Pulse(1)):
        connection = HTTPConnection("::1", port, timeout=5)
        connection.request("GET", "/healthz")

        assert connection.getresponse().status == 200


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    port = free_port()
    with (
        serving("127.0.0.1", port, CollectorRegistry(), Pulse(1)),
        pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} .*another --metrics-port"),
        serving("127.0.0.1", port, CollectorRegistry(), Pulse(1)),
    ):
        pass


@pytest.fixture
def make_feed(tmp_path: Path) -> Callable[..., Feed]:
    (tmp_path / "queue").mkdir()

    def make(**settings: Any) -> Feed:
        chosen = Settings().overridden(
            database_url=str(tmp_path / "test.db"), broker_url=folder_url(tmp_path / "queue"), **settings
        )
        engine = open_database(chosen.database_url)
        run_id = add_run(engine, RECIPE, command="enqueue book")
        add_pages(engine, run_id, draw_pages(tmp_path / "book", 6, page_2=KILLS))
        (tmp_path / "book" / "page_4.png").unlink()
        return Feed(engine, make_app(chosen, RECIPE), RECIPE, chosen)

    return make


def look_once(feed: Feed, metrics: Metrics, pulse: Pulse, *, names: tuple[str, ...] = ()) -> None:
    stop = threading.Event()

    def names_then_stop() -> tuple[str, ...]:
        stop.set()
        return names

    watch_health(feed, metrics, pulse, names=names_then_stop, stop=stop)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_S", 0.01)


@pytest.mark.usefixtures("_at_once")
def test_waiting_pages_are_work_and_are_counted(make_feed: Callable[..., Feed]) -> None:
    feed, metrics, pulse = make_feed(), Metrics(), Pulse(0.0)
    claim_pages(feed.engine, 2, recipe=RECIPE, worker="elsewhere")

    look_once(feed, metrics, pulse)

    assert pulse.what == "4 pages queued"
    short = RECIPE.digest[:12]
    value = metrics.registry.get_sample_value
    assert value("fumikura_readings", {"recipe": short, "status": "queued"}) == 4
    assert value("fumikura_readings", {"recipe": short, "status": "leased"}) == 2
    assert value("fumikura_queue_messages", {"recipe": short}) == 0
    assert value("fumikura_server_up", {"server": "database"}) == 1
    assert value("fumikura_server_up", {"server": "broker"}) == 1


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(("names", "is_work"), [(("here",), True), (("there",), False)])
def test_pages_in_hand_are_work_of_whoever_holds_them(
    make_feed: Callable[..., Feed], names: tuple[str, ...], is_work: bool
) -> None:
    feed, pulse = make_feed(), Pulse(0.0)
    claim_pages(feed.engine, 6, recipe=RECIPE, worker="here")

    look_once(feed, Metrics(), pulse, names=names)

    assert (pulse.since_s is not None) == is_work


@pytest.mark.usefixtures("_at_once")
def test_a_database_that_is_away_counts_as_work_that_stands_still(make_feed: Callable[..., Feed]) -> None:
    feed, metrics, pulse = make_feed(), Metrics(), Pulse(0.0)
    away = Feed(connect("postgresql://nobody@localhost:9/none"), feed.app, RECIPE, feed.settings)

    look_once(away, metrics, pulse)

    assert pulse.is_red(time.monotonic() + 1)
    assert metrics.registry.get_sample_value("fumikura_server_up", {"server": "database"}) == 0


@pytest.mark.slow
def test_one_port_serves_the_figures_of_all_processes_dead_ones_included(
    make_feed: Callable[..., Feed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPLE_READ_LOG", str(tmp_path / "read.log"))
    port = free_port()
    feed = make_feed(metrics_port=port, devices="cpu", workers=2, chunk_size=2, pages_per_batch=2)

    with program(["work"], feed.settings) as process:
        # Of six pages one is gone, and one ends every worker that reads it.
        wait_until(lambda: run_summary(feed.engine, 1).is_finished, timeout_s=60)
        wait_until(lambda: len(children(process.pid)) == 2)
        health = get(port, "/healthz")
        found = samples(get(port, "/metrics")[1])
        process.terminate()
        process.wait(10)

    assert health[0] == 200
    assert found["fumikura_pages_total", "cpu", "done"] == 4
    assert found["fumikura_pages_total", "cpu", "failed"] == 1
    for stage in ("decode", "segment", "write"):
        assert found["fumikura_stage_seconds_count", "cpu", stage] == 4
    assert found["fumikura_stage_seconds_sum", "cpu", "segment"] == pytest.approx(4 * 0.01)
    assert found["fumikura_worker_ends_total", "cpu"] >= 3
    assert found["fumikura_batch_fill_ratio_bucket", "cpu", "0.5"] >= 1  # the page alone, thrice
    assert time.time() - 60 < found["fumikura_last_page_finished_timestamp_seconds", "cpu"] <= time.time()
    assert found["fumikura_leases_expired_total",] == 0


def test_half_a_report_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    lines = '{"page": "done", "at": 5.0, "seconds": {"decode": 0.5}}\n{"page": "fai'
    metrics = Metrics()
    process = subprocess.Popen(
        [sys.executable, "-c", f"print({lines!r}, end='')"], stdout=subprocess.PIPE, cwd=tmp_path
    )

    listen(process, partial(metrics.take, "cpu")).join(10)
    process.wait()

    value = metrics.registry.get_sample_value
    assert metrics.n_steps == 1
    assert value("fumikura_last_page_finished_timestamp_seconds", {"device": "cpu"}) == 5.0
    assert value("fumikura_pages_total", {"device": "cpu", "outcome": "failed"}) is None
