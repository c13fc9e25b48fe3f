"""`fumikura worker` with the chaos suite's worker processes, as a program. Settings from FUMIKURA_*."""

from __future__ import annotations

import logging
import threading

from fumikura.cli.stop_signals import stopped_by_signals
from fumikura.core.settings import read_settings
from fumikura.worker.identity import worker_name
from fumikura.worker.launcher import work
from fumikura.worker.logs import use_format
from tests.chaos.worker import COMMAND, recipe_for


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    settings = read_settings()
    use_format(settings.log_format, worker=worker_name())
    stop = threading.Event()
    with stopped_by_signals(stop):
        work(settings, recipe_for(settings), stop=stop, command=COMMAND)


if __name__ == "__main__":
    main()
