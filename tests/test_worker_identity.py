"""Names of workers, and whether a process that left its name behind still lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from fumikura.worker import identity
from fumikura.worker.identity import is_dead, worker_name


def test_this_process_is_not_dead() -> None:
    assert is_dead(worker_name()) is False


def test_a_process_that_ended_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = worker_name(process.pid)
        assert is_dead(name) is False
        process.kill()

    assert is_dead(name) is True


def test_a_process_that_ended_and_was_not_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "print()"], stdout=subprocess.PIPE) as process:
        name = worker_name(process.pid)
        assert process.stdout is not None
        process.stdout.read()  # ends when the process does

        assert _becomes_dead(name)


def test_another_process_with_the_same_number_is_not_mistaken_for_the_dead_one() -> None:
    name, _, started = worker_name().rpartition("/")

    assert is_dead(f"{name}/{float(started) - 100}") is True


def test_only_its_own_host_can_tell_whether_a_process_is_dead() -> None:
    assert is_dead("elsewhere:00000000:1/1/1.00") is None
    assert is_dead("no name of ours") is None


def test_a_host_that_was_started_anew_does_not_vouch_for_its_old_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = worker_name()
    monkeypatch.setattr(identity, "boot", lambda: "another boot")

    assert is_dead(name) is None


def test_a_clock_that_was_set_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    name, boot_time = worker_name(), psutil.boot_time()

    # Of both the time of day moves with the clock, in psutil before 7.1 each when it likes.
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 600)

    assert is_dead(name) is False
    assert worker_name() == name


@pytest.mark.skipif(sys.platform != "linux", reason="hidepid is Linux's")
def test_a_process_that_the_system_hides_is_not_called_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    name = worker_name()

    def hide(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    def forbid(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "Process", hide)
    monkeypatch.setattr(os, "kill", forbid)

    assert is_dead(name) is None


def _becomes_dead(name: str) -> bool:
    deadline_s = time.monotonic() + 5
    while not is_dead(name) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return is_dead(name) is True
