"""As a program: `run RUN_ID` or `work` with the simple reader, settings from FUMIKURA_* variables."""

from __future__ import annotations

import logging
import sys
import threading

from core.settings import read_settings
from core.store.session import open_database
from tests.simple_reader import COMMAND, RECIPE
from worker.launcher import run_locally, work


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
