"""`fumikura run` and `fumikura worker` with the simple reader, as programs that tests start and kill.

As a program: `run RUN_ID` or `work`, settings from FUMIKURA_* variables.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from core.settings import Settings, read_settings
from core.store.session import open_database
from tests.simple_reader import COMMAND, RECIPE
from worker.launcher import run_locally, work


@contextmanager
def program(arguments: Sequence[str], settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """tests/simple_launcher.py with these arguments, killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.simple_launcher", *arguments]
    environment = os.environ | settings.to_environment()
    with subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1]) as process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int | None = None) -> list[psutil.Process]:
    """Worker processes that a launcher has now; None means this process."""
    return [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.WARNING)
    settings = read_settings()
    if arguments[0] == "work":
        return work(settings, RECIPE, command=COMMAND)
    run_locally(
        settings,
        open_database(settings.database_url),
        int(arguments[1]),
        RECIPE,
        on_progress=lambda _summary: None,
        stop=threading.Event(),
        command=COMMAND,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
