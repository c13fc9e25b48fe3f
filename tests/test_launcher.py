"""Runs with real worker processes, which die, hang and come back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fumikura.core.errors import FumikuraError, UsageError
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.core.store.workers import State, list_workers, unread_recipes, worker_names
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.launcher import run_locally, work
from fumikura.worker.supervision import Children, _describe
from tests.simple_launcher import children, program, wait_until
from tests.simple_reader import COMMAND, FILLS_MEMORY, HANGS, KILLS, RECIPE, draw_pages

pytestmark = pytest.mark.slow


@dataclass
class Run:
    """A run in a database of its own, not yet begun."""

    engine: Engine
    settings: Settings
    run_id: int
    read_log: Path

    @property
    def summary(self) -> RunSummary:
        return run_summary(self.engine, self.run_id)

    @property
    def times_read(self) -> Counter[str]:
        """How often each page was read, by its width."""
        return Counter(self.read_log.read_text().split()) if self.read_log.exists() else Counter()

    def read(
        self,
        *,
        on_progress: Callable[[RunSummary], None] = lambda _summary: None,
        stop: threading.Event | None = None,
        recipe: Recipe = RECIPE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        run_locally(
            self.settings,
            self.engine,
            self.run_id,
            recipe,
            on_progress=on_progress,
            stop=stop or threading.Event(),
            command=command,
        )


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    monkeypatch.setenv("SIMPLE_READ_LOG", str(tmp_path / "read.log"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def make(pages: list[PageReference], *, page_s: float = 0.0, **settings: Any) -> Run:
        monkeypatch.setenv("SIMPLE_PAGE_S", str(page_s))
        chosen = Settings().overridden(
            database_url=str(tmp_path / "test.db"), devices="cpu", pages_per_batch=2, **settings
        )
        engine = open_database(chosen.database_url)
        run_id = add_run(engine, RECIPE, command="run pages")
        add_pages(engine, run_id, pages)
        finish_listing(engine, run_id)
        return Run(engine, chosen, run_id, tmp_path / "read.log")

    return make


def test_a_run_ends_when_all_is_read_and_leaves_nothing_behind(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 10), page_s=0.1, host_name="here")
    seen: list[RunSummary] = []
    workers: set[str] = set()

    def look(summary: RunSummary) -> None:
        seen.append(summary)
        workers.update(worker.worker for worker in list_workers(run.engine))

    run.read(on_progress=look)

    assert seen[-1] == run.summary
    assert "here/cpu" in workers
    assert worker_names(run.engine) == []
    assert (run.summary.done, run.summary.characters) == (10, 20)
    assert set(run.times_read.values()) == {1}
    assert children() == []
    assert list(tmp_path.glob("fumikura-run-*")) == []


def test_when_a_worker_is_killed_half_way_the_run_goes_on_to_its_end(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 48), page_s=0.05, workers=2)
    victims: list[int] = []

    def kill_one_half_way(summary: RunSummary) -> None:
        if summary.done >= 24 and not victims:
            victims.append(children()[0].pid)
            os.kill(victims[0], signal.SIGKILL)

    started_s = time.monotonic()
    run.read(on_progress=kill_one_half_way)

    assert len(victims) == 1
    assert (run.summary.done, run.summary.characters) == (48, 96)
    # Were the victim's pages not returned at once, they would wait for their leases to run out.
    assert time.monotonic() - started_s < run.settings.lease_s / 2
    assert sum(run.times_read.values()) <= 48 + run.settings.chunk_size


def test_an_end_by_a_signal_without_a_name_has_words_too() -> None:
    # Linux names 34 and 64 alone of its real-time signals.
    assert [_describe(code) for code in (-9, -35, 3)] == ["SIGKILL", "signal 35", "exit code 3"]


def test_when_the_whole_run_is_killed_no_process_stays_and_the_next_one_resumes(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 48), page_s=0.1, workers=2)
    with program(["run", str(run.run_id)], run.settings) as process:
        wait_until(lambda: run.summary.done >= 8)
        orphans = children(process.pid)
        process.kill()

    wait_until(lambda: not any(orphan.is_running() for orphan in orphans), timeout_s=10)
    done_before = widths_of_done_pages(run.engine)
    started_s = time.monotonic()
    run.read()

    assert len(orphans) == 2
    assert 8 <= len(done_before) < 48
    assert time.monotonic() - started_s < 30
    assert (run.summary.done, run.summary.characters) == (48, 96)
    assert {run.times_read[width] for width in done_before} == {1}
    assert list(tmp_path.glob("fumikura-run-*")) == []


def test_a_page_that_kills_its_worker_ends_in_quarantine_and_its_neighbours_are_read(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 6, page_2=KILLS), chunk_size=4)

    run.read()

    assert (run.summary.done, run.summary.quarantined) == (5, 1)
    (failure,) = failures(run.engine, run_id=run.run_id)
    assert (failure.name, failure.attempts) == ("page_2", 3)
    assert failure.reason.startswith("3 workers ended while they read this page alone")


def test_a_page_that_takes_too_long_ends_its_worker(tmp_path: Path, make_run: Callable[..., Run]) -> None:
    pages = draw_pages(tmp_path / "book", 3, page_0=HANGS)
    run = make_run(pages, page_time_limit_s=0.5, max_attempts=1)

    run.read()

    assert (run.summary.done, run.summary.quarantined) == (2, 1)
    (failure,) = failures(run.engine, run_id=run.run_id)
    assert failure.name == "page_0"


def test_a_stopped_run_hands_back_its_pages_even_amid_a_slow_one(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 4), page_s=60.0)
    stop = threading.Event()
    stopped_s: list[float] = []

    def stop_when_claimed(summary: RunSummary) -> None:
        if summary.leased and not stop.is_set():
            stopped_s.append(time.monotonic())
            stop.set()

    run.read(on_progress=stop_when_claimed, stop=stop)

    assert time.monotonic() - stopped_s[0] < 8
    assert (run.summary.queued, run.summary.leased) == (4, 0)
    assert attempts(run.engine) == {0}
    assert children() == []


def test_a_worker_program_told_to_end_hands_back_its_pages(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    (tmp_path / "queue").mkdir()
    queue = folder_url(tmp_path / "queue")
    run = make_run(draw_pages(tmp_path / "book", 30), page_s=0.2, broker_url=queue)

    with program(["work"], run.settings) as process:
        wait_until(lambda: run.summary.done >= 2)
        orphans = children(process.pid)
        process.terminate()
        exit_code = process.wait(timeout=8)

    assert exit_code == 0
    assert run.summary.leased == 0
    assert run.summary.done + run.summary.queued == 30
    assert attempts(run.engine) == {0}
    assert not any(orphan.is_running() for orphan in orphans)


def test_weights_that_changed_meanwhile_end_the_run_with_one_line(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 1))
    other = replace(RECIPE, classifier_digest="3" * 64)

    with pytest.raises(FumikuraError, match=r"^the weights files have changed[^\n]*$"):
        run.read(recipe=other)

    assert children() == []


def test_workers_that_crash_before_they_read_end_the_run_with_their_last_words(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 1))
    crash = (sys.executable, "-c", "raise SystemExit('a library is missing')")

    with pytest.raises(FumikuraError, match=r"no worker can start.*exit code 1: a library is missing"):
        run.read(command=crash)

    assert run.summary.queued == 1


@pytest.mark.parametrize("n_pages", [1, 12])
def test_a_machine_on_which_every_page_ends_the_worker_stops_and_blames_no_page(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, n_pages: int
) -> None:
    monkeypatch.setenv("SIMPLE_BROKEN", "1")
    run = make_run(draw_pages(tmp_path / "book", n_pages), workers=2)

    with pytest.raises(FumikuraError, match=r"^every worker here ends over a page drawn for a trial[^\n]*$"):
        run.read()

    assert run.summary.queued == n_pages
    assert attempts(run.engine) == {0}
    assert children() == []


def test_a_page_that_fills_the_memory_is_tried_alone_and_then_quarantined(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(draw_pages(tmp_path / "book", 5, page_1=FILLS_MEMORY))

    run.read()

    assert (run.summary.done, run.summary.quarantined) == (4, 1)
    (failure,) = failures(run.engine, run_id=run.run_id)
    assert (failure.name, failure.attempts) == ("page_1", 3)
    assert failure.reason.startswith("reading the page takes more memory than there is")


def test_a_worker_program_needs_a_broker() -> None:
    with pytest.raises(UsageError, match="needs a queue"):
        work(Settings(), RECIPE, stop=threading.Event())


def widths_of_done_pages(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        statement = "SELECT width FROM page JOIN reading ON page.id = page_id WHERE status = 'done'"
        return {str(width) for width in connection.exec_driver_sql(statement).scalars()}


def attempts(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.exec_driver_sql("SELECT attempts FROM reading").scalars())


def test_a_worker_that_only_starts_is_known_at_once(sqlite_url: str, tmp_path: Path) -> None:
    engine = open_database(sqlite_url)
    run_id = add_run(engine, RECIPE, command="test")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 1))
    finish_listing(engine, run_id)
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    children = Children(engine, Settings(sqlite_url, devices="cpu"), RECIPE, command=sleeper)

    unread_before = unread_recipes(engine)
    children.look_after()
    states, unread = [worker.state for worker in list_workers(engine)], unread_recipes(engine)
    children.stop(grace_s=0)

    assert [one.n_pages for one in unread_before] == [1]
    assert (states, unread) == ([State.STARTING], [])
    assert list_workers(engine) == []
    engine.dispose()
