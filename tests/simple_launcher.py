"""`fumikura run` and `fumikura worker` with the simple reader, as programs that tests start and kill.

As a program: `run RUN_ID`, `work` or `work until-empty`, settings from FUMIKURA_* variables.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil

from fumikura.cli.stop_signals import stopped_by_signals
from fumikura.core.settings import Settings, read_settings
from fumikura.core.store.upgrading import open_database
from fumikura.worker.identity import worker_name
from fumikura.worker.launcher import run_locally, work
from fumikura.worker.logs import use_format
from tests.simple_reader import COMMAND, RECIPE


@contextmanager
def program(
    arguments: Sequence[str], settings: Settings, *, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """tests/simple_launcher.py with these arguments, killed at the end if it still runs.

    Args:
        log: file for standard error, to which is appended; None passes it on to ours.
    """
    command = [sys.executable, "-m", "tests.simple_launcher", *arguments]
    environment = os.environ | settings.to_environment()
    with log.open("ab") if log else nullcontext() as errors:
        process = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], stderr=errors)
    with process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int | None = None) -> list[psutil.Process]:
    """Worker processes that a launcher has now; None means this process."""
    # The servers that tests share are children of this process too.
    return [child for child in psutil.Process(pid).children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "--recipe" in process.cmdline()
    except psutil.NoSuchProcess:  # a zombie, or gone by now
        return False


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def main(arguments: list[str]) -> None:
    settings = read_settings()
    logging.basicConfig(level=logging.INFO if settings.log_format == "json" else logging.WARNING)
    use_format(settings.log_format, worker=worker_name())
    stop = threading.Event()
    with stopped_by_signals(stop):
        if arguments[0] == "work":
            work(settings, RECIPE, stop=stop, until_empty="until-empty" in arguments, command=COMMAND)
            return
        run_locally(
            settings,
            open_database(settings.database_url),
            int(arguments[1]),
            RECIPE,
            on_progress=lambda _summary: None,
            stop=stop,
            command=COMMAND,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
