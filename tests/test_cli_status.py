"""`fumikura status`: workers, rates, time left and failures by reason, once or again and again."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.cli.rates import RecentPace
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failure_reasons
from fumikura.core.store.saving import save_failure
from fumikura.core.store.upgrading import open_database
from fumikura.core.store.workers import Card, State, Worker, note_worker
from tests.simple_store import RECIPE, claim_pages, make_pages, start_run

COMMAND = (sys.executable, "-c", "from fumikura.cli.main import main; main()")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    """Six pages: two in the hands of `here`, three failed, one queued."""
    engine = open_database(sqlite_url)
    start_run(engine, make_pages(6))
    claim_pages(engine, 3, after=2, worker="there")
    for number in (3, 4):
        reason = f"images/tale_{number:03}.jpg is no longer in /scans/tale.zip; put it back and retry"
        save_failure(engine, number, reason, worker="there")
    save_failure(engine, 5, "the image has only 8 × 9 pixels; no side may be under 16", worker="there")
    claim_pages(engine, 2, worker="here")
    yield engine
    engine.dispose()


def told(name: str, *, after_s: float, n_done: int) -> Worker:
    """A worker that started at noon, as it was heard so many seconds later."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    nothing = ("recipe_digest", "run_id", "reason", "lease_ends_s")
    return Worker(
        worker=name,
        name=name,
        host="vm",
        device="cpu",
        state=State.READING,
        state_s=0.0,
        seen_s=0.0,
        seen_at=noon + timedelta(seconds=after_s),
        started_at=noon,
        n_done=n_done,
        n_pages=0,
        **dict.fromkeys(nothing),
    )


def test_the_recent_pace_counts_what_was_done_between_two_words() -> None:
    pace = RecentPace()

    for after_s, n_done in ((100.0, 50), (100.0, 50), (110.0, 70), (120.0, 90)):
        pace.note([told("here", after_s=after_s, n_done=n_done), told("there", after_s=after_s, n_done=7)])

    assert pace.by_worker == {"here": 2.0, "there": 0.0}


def test_what_was_done_before_the_window_does_not_count() -> None:
    pace = RecentPace(window_s=30)

    for after_s, n_done in ((100.0, 0), (110.0, 100), (140.0, 115)):
        pace.note([told("here", after_s=after_s, n_done=n_done)])

    assert pace.by_worker == {"here": 0.5}  # (115 - 100) / (140 - 110)


def test_in_the_first_seconds_the_pace_is_that_since_the_start() -> None:
    pace = RecentPace()

    for after_s in (50.0, 60.0):
        pace.note([told("here", after_s=after_s, n_done=100), told("new", after_s=after_s, n_done=0)])

    assert pace.by_worker == {"here": pytest.approx(100 / 60), "new": None}


def test_a_worker_that_ended_has_no_pace() -> None:
    pace = RecentPace()
    pace.note([told("here", after_s=50.0, n_done=100)])

    pace.note([])

    assert pace.by_worker == {}


def test_failures_that_differ_in_names_and_numbers_alone_have_one_reason(engine: Engine) -> None:
    found = [(one.status, one.reason, one.n_pages) for one in failure_reasons(engine)]

    assert found == [
        ("failed", "… is no longer in …; put it back and retry", 2),
        ("failed", "the image has only … × … pixels; no side may be under …", 1),
    ]


@pytest.mark.usefixtures("engine")
def test_status_names_the_reasons_of_failures(sqlite_url: str) -> None:
    shown = CliRunner().invoke(main, ["status", "--db", sqlite_url]).stdout
    state = json.loads(CliRunner().invoke(main, ["status", "--json", "--db", sqlite_url]).stdout)

    assert "… is no longer in …" in shown
    assert state["failures"][0]["n_pages"] == 2
    assert state["pages_per_second"] is None


@pytest.mark.usefixtures("engine")
def test_status_shows_idle_and_paused_workers_by_names_for_people(engine: Engine, sqlite_url: str) -> None:
    resting = Card("vm:b652e83d:4026531836/29543/3147.54", "vm/cpu#1", "vm", "cpu#1", RECIPE.digest)
    paused = Card("vm:b652e83d:4026531836/29544/3147.60", "vm/cpu#2", "vm", "cpu#2", RECIPE.digest)
    note_worker(engine, resting, State.IDLE, reason=None, n_done=7)
    note_worker(engine, paused, State.PAUSED, reason="/scans is not there", n_done=0)

    shown = CliRunner().invoke(main, ["status", "--db", sqlite_url]).stdout
    state = json.loads(CliRunner().invoke(main, ["status", "--json", "--db", sqlite_url]).stdout)

    assert [line.split()[:3] for line in shown.splitlines() if line.startswith("vm/")] == [
        ["vm/cpu#1", "idle", "0:00"],
        ["vm/cpu#2", "paused", "0:00"],
    ]
    assert "/scans is not there" in shown
    assert "b652e83d" not in shown
    assert [(one["worker"], one["state"], one["n_done"]) for one in state["workers"]] == [
        ("vm/cpu#1", "idle", 7),
        ("vm/cpu#2", "paused", 0),
        ("here", None, 0),
    ]
    assert state["unread"] == []


@pytest.mark.usefixtures("engine")
def test_status_says_what_would_read_the_pages_that_nobody_reads(sqlite_url: str) -> None:
    shown = CliRunner().invoke(main, ["status", "--db", sqlite_url]).stdout

    assert (
        f"no worker reads recipe {RECIPE.digest[:12]}: 1 page queued; give the same `fumikura run` again,"
        " or start a `fumikura worker` with the same weights (55555555, cccccccc) and --context-weight 0"
        in shown
    )


@pytest.mark.slow
def test_watching_as_json_gives_a_line_a_look_with_rates(engine: Engine, sqlite_url: str) -> None:
    card = Card("here", "vm/cpu", "vm", "cpu", RECIPE.digest)
    note_worker(engine, card, State.READING, reason=None, n_done=0)
    command = [*COMMAND, "status", "--watch", "--json", "--db", sqlite_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first: dict[str, Any] = json.loads(process.stdout.readline())
        note_worker(engine, card, State.READING, reason=None, n_done=10)
        second: dict[str, Any] = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        exit_code = process.wait(10)

    assert first["pages_per_second"] is None
    (worker,) = second["workers"]
    assert (worker["worker"], worker["n_pages"]) == ("vm/cpu", 2)
    started, seen = (datetime.fromisoformat(worker[name]) for name in ("started_at", "seen_at"))
    assert worker["pages_per_second"] == pytest.approx(10 / (seen - started).total_seconds())
    assert second["pages_per_second"] == worker["pages_per_second"]
    assert second["seconds_left"] == pytest.approx(3 / second["pages_per_second"])
    assert exit_code == 130


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_watching_in_a_terminal_draws_in_one_place(sqlite_url: str) -> None:
    ours, its = pty.openpty()
    command = [*COMMAND, "status", "--watch", "--db", sqlite_url]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=its,
        stdout=its,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        # A shell lets what it starts in the background ignore Ctrl-C, and so would the command.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        os.close(its)
        screen = b""
        while screen.count(b"6 pages:") < 2:
            screen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        process.wait(10)
    os.close(ours)

    assert b"\x1b[1A" in screen  # back up to where it began
    assert b"pages/s" in screen
