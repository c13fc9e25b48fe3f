"""A worker whose machine lacks the scans: its pages go to others, and it pauses and says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.core.store.workers import Card, State, note_worker
from fumikura.worker import missing
from fumikura.worker.outages import Stopped
from fumikura.worker.reports import Reports
from fumikura.worker.stream import Stream
from tests.simple_launcher import wait_until
from tests.simple_reader import RECIPE, SimpleReader, draw_pages

N_PAGES = 24


@dataclass
class Cluster:
    """Pages in a folder that can be there or not, and streams of several hosts that read them."""

    engine: Engine
    run_id: int
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def summary(self) -> RunSummary:
        return run_summary(self.engine, self.run_id)

    def host(self, name: str, reports: Reports | None = None) -> Stream:
        """A worker on a host of this name, which all others know to live."""
        card = Card(f"worker {name}", f"{name}/cpu", name, "cpu", RECIPE.digest)
        note_worker(self.engine, card, State.IDLE, reason=None, n_done=0)
        settings = Settings(pages_per_batch=2, threads=1, chunk_size=4, host_name=name)
        return Stream(
            self.engine, SimpleReader(), settings=settings, worker=card.name, stop=self.stop, reports=reports
        )

    def unmount(self) -> None:
        self.folder.rename(self.folder.with_name("elsewhere"))

    def mount(self) -> None:
        self.folder.with_name("elsewhere").rename(self.folder)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(missing, "pause_s", lambda _n: 0.01)
    engine = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    run_id = add_run(engine, RECIPE, command="enqueue pages")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", N_PAGES))
    yield Cluster(engine, run_id, tmp_path / "book")
    engine.dispose()


def test_a_machine_without_its_mount_fails_no_page_of_the_others(cluster: Cluster) -> None:
    broken, sound = cluster.host("broken"), cluster.host("sound")

    cluster.unmount()
    broken.read_waiting()
    after_the_broken = cluster.summary
    cluster.mount()
    sound.read_waiting()

    assert (after_the_broken.queued, after_the_broken.failed) == (N_PAGES, 0)
    assert (cluster.summary.done, cluster.summary.failed) == (N_PAGES, 0)


def test_pages_that_no_host_finds_fail_and_name_the_hosts(cluster: Cluster) -> None:
    hosts = [cluster.host(name) for name in ("a", "b", "c")]
    cluster.unmount()

    for host in hosts:
        host.read_waiting()

    assert (cluster.summary.failed, cluster.summary.queued) == (N_PAGES, 0)
    reason = next(iter(failures(cluster.engine))).reason
    assert reason.startswith("not found on a, b, c: ")
    assert reason.endswith("put it there, or mount it, and retry")


def test_in_a_run_of_its_own_a_page_that_is_not_there_fails_at_once(cluster: Cluster) -> None:
    stream = cluster.host("here")
    cluster.host("other")
    cluster.unmount()

    started_s = time.monotonic()
    stream.read_waiting(cluster.run_id)

    assert (cluster.summary.failed, cluster.summary.queued) == (N_PAGES, 0)
    assert time.monotonic() - started_s < 5


def test_a_worker_that_misses_several_pauses_longer_each_time_and_says_so(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[int] = []

    def note_pause(n_pauses: int) -> float:
        pauses.append(n_pauses)
        return 0.01

    monkeypatch.setattr(missing, "pause_s", note_pause)
    told = tmp_path / "reports"
    with told.open("wb") as file:
        broken = cluster.host("broken", Reports(file.fileno()))
        cluster.host("sound")
        cluster.unmount()
        broken.read_waiting()

    assert pauses == list(range(1, len(pauses) + 1))
    assert len(pauses) >= 3
    said = [
        event["paused"] for line in told.read_text().splitlines() if "paused" in (event := json.loads(line))
    ]
    assert len(said) == len(pauses)
    assert "pages in a row are not found on broken: " in said[0]
    assert f"{cluster.folder} is not there on" in said[0]
    assert "trying again in" in caplog.text


def test_a_worker_that_pauses_ends_when_it_is_told_to(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "pause_s", lambda _n: 3600.0)
    reports = Reports()
    broken = cluster.host("broken", reports)
    cluster.host("sound")
    cluster.unmount()
    ended: list[bool] = []

    def read() -> None:
        with pytest.raises(Stopped):
            broken.read_waiting()
        ended.append(True)

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: reports.paused is not None)
    cluster.stop.set()
    thread.join(10)

    assert ended == [True]
    assert (cluster.summary.leased, cluster.summary.failed) == (0, 0)


def test_a_machine_that_has_its_mount_again_reads_what_it_missed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "FORGIVE_S", 0.0)
    reports = Reports()
    broken = cluster.host("broken", reports)
    cluster.host("busy with other pages")
    cluster.unmount()
    threading.Timer(1.0, cluster.mount).start()

    wait_until(lambda: broken.read_waiting() > 0 and cluster.summary.done == N_PAGES)

    assert cluster.summary.failed == 0
    assert reports.paused is None


def test_a_page_that_others_missed_too_lets_nobody_pause(cluster: Cluster) -> None:
    first, second = cluster.host("first"), cluster.host("second", reports := Reports())
    cluster.host("third")
    cluster.unmount()
    first.read_waiting()

    second.read_waiting()

    assert reports.paused is None


def test_where_there_is_no_other_host_pages_fail_and_the_worker_slows_down(cluster: Cluster) -> None:
    lone = cluster.host("lone", reports := Reports())
    cluster.unmount()

    lone.read_waiting()

    assert cluster.summary.failed == N_PAGES
    assert reports.paused is not None
