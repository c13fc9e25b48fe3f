"""`fumikura status`: workers, rates, time left and failures by reason, once or again and again."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.cli.rates import RecentPace
from fumikura.core.store.claiming import claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failure_reasons
from fumikura.core.store.queries import done_by_worker
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.upgrading import open_database
from tests.simple_store import RECIPE, make_pages, make_reading, start_run

COMMAND = (sys.executable, "-c", "from fumikura.cli.main import main; main()")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    """Six pages: two in the hands of `here`, three failed, one queued."""
    engine = open_database(sqlite_url)
    start_run(engine, make_pages(6))
    claim(engine, [3, 4, 5], recipe_digest=RECIPE.digest, worker="there", lease_s=60)
    for number in (3, 4):
        reason = f"images/tale_{number:03}.jpg is no longer in /scans/tale.zip; put it back and retry"
        save_failure(engine, number, reason, worker="there")
    save_failure(engine, 5, "the image has only 8 × 9 pixels; no side may be under 16", worker="there")
    claim(engine, [1, 2], recipe_digest=RECIPE.digest, worker="here", lease_s=60)
    yield engine
    engine.dispose()


def test_the_recent_pace_counts_what_was_done_between_the_first_look_and_the_last() -> None:
    pace = RecentPace(window_s=10)

    for now_s, here, there in ((100.0, 50, 7), (105.0, 60, 7), (110.0, 70, 7)):
        pace.note(now_s, {"here": here, "there": there})

    assert pace.by_worker == {"here": 2.0}
    assert pace.pages_per_second == 2.0


def test_what_was_done_before_the_window_does_not_count() -> None:
    pace = RecentPace(window_s=10)

    for now_s, here in ((100.0, 0), (105.0, 100), (112.0, 107)):
        pace.note(now_s, {"here": here})

    assert pace.pages_per_second == 1.0  # (107 - 100) / (112 - 105)


def test_one_look_tells_no_pace() -> None:
    pace = RecentPace()

    pace.note(100.0, {"here": 50})

    assert pace.pages_per_second is None
    assert pace.by_worker == {}


def test_failures_that_differ_in_names_and_numbers_alone_have_one_reason(engine: Engine) -> None:
    found = [(one.status, one.reason, one.n_pages) for one in failure_reasons(engine)]

    assert found == [
        ("failed", "… is no longer in …; put it back and retry", 2),
        ("failed", "the image has only … × … pixels; no side may be under …", 1),
    ]


def test_readings_are_counted_for_the_worker_that_made_them(engine: Engine) -> None:
    for number in (1, 2):
        save_reading(engine, number, make_reading("人"), worker="here")

    assert done_by_worker(engine) == {"here": 2}


@pytest.mark.usefixtures("engine")
def test_status_names_the_reasons_of_failures(sqlite_url: str) -> None:
    shown = CliRunner().invoke(main, ["status", "--db", sqlite_url]).stdout
    state = json.loads(CliRunner().invoke(main, ["status", "--json", "--db", sqlite_url]).stdout)

    assert "… is no longer in …" in shown
    assert state["failures"][0]["n_pages"] == 2
    assert state["pages_per_second"] is None


@pytest.mark.slow
def test_watching_as_json_gives_a_line_a_look_with_rates(engine: Engine, sqlite_url: str) -> None:
    command = [*COMMAND, "status", "--watch", "--json", "--db", sqlite_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first: dict[str, Any] = json.loads(process.stdout.readline())
        save_reading(engine, 1, make_reading("人"), worker="here")
        second: dict[str, Any] = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        exit_code = process.wait(10)

    assert first["pages_per_second"] is None
    # One page within the two seconds and more between the looks, and two still to be read.
    assert 0.1 < second["pages_per_second"] <= 0.5
    assert second["seconds_left"] == pytest.approx(2 / second["pages_per_second"])
    (worker,) = second["workers"]
    assert (worker["worker"], worker["n_pages"]) == ("here", 1)
    assert worker["pages_per_second"] == second["pages_per_second"]
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
