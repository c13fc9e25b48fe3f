"""A worker process is a reader on one device that Celery feeds. The launcher starts it.

Its settings come from FUMIKURA_* variables, and it lives no longer than the process that holds the
other end of its standard input.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fumikura.core.errors import BrokerError, CheckpointError, DatabaseError, FumikuraError
from fumikura.core.settings import Settings, read_settings
from fumikura.worker.identity import host_name, worker_name
from fumikura.worker.logs import is_json, use_format
from fumikura.worker.reports import LOADED, READY, RUNS, TRIED, Reports, take_standard_output

if TYPE_CHECKING:
    from celery import Celery

    from fumikura.core.store.connecting import Engine
    from fumikura.core.store.workers import Card
    from fumikura.worker.heartbeat import Heartbeat
    from fumikura.worker.stream import RecipeReader

log = logging.getLogger(__name__)

#: Exit codes by which a launcher knows what does not get better by starting it again, and
#: what is worth waiting for.
UNFIT = 78
AWAY = 75
BROKEN = 70

#: Seconds from the order to end until the pages in hand are given up.
STOP_GRACE_S = 3.0
#: Seconds from the death of the parent until this process ends, whatever it is doing.
ORPHAN_GRACE_S = 8.0


def main(load_reader: Callable[[Settings, str], RecipeReader] | None = None) -> int:
    """Read what stands in the queue until told to end; return the exit code.

    Args:
        load_reader: makes the reader for a device; None means the one of `recognition/reader.py`.
    """
    # First of all: importing torch takes seconds in which the parent may die.
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    reports = take_standard_output()
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--recipe", required=True, help="digest of the recipe that the launcher serves")
    parser.add_argument("--place", help="what the launcher calls the device, other than --device")
    parser.add_argument("--run", type=int, help="the one run whose pages are read")
    parser.add_argument("--log-level", default="WARNING")
    arguments = parser.parse_args()
    logging.basicConfig(level=arguments.log_level)
    try:
        settings = read_settings()
        card = _card(settings, arguments)
        use_format(settings.log_format, worker=card.label)
        return _serve(settings, arguments.device, card=card, reports=reports, load_reader=load_reader)
    except FumikuraError as error:
        if is_json():
            log.error("%s", error)
        else:
            print(error, file=sys.stderr)
        return AWAY if isinstance(error, BrokerError | DatabaseError) else UNFIT
    except Exception as error:
        # Not left to Python, whose exit code would be that of a page that took too long.
        log.exception("the worker cannot go on")
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return BROKEN


def _card(settings: Settings, arguments: argparse.Namespace) -> Card:
    from fumikura.core.store.workers import Card

    host, device = host_name(settings), arguments.place or arguments.device
    return Card(worker_name(), f"{host}/{device}", host, device, arguments.recipe, arguments.run)


def _serve(
    settings: Settings,
    device: str,
    *,
    card: Card,
    reports: Reports,
    load_reader: Callable[[Settings, str], RecipeReader] | None,
) -> int:
    from fumikura.core.store.upgrading import open_database
    from fumikura.worker.broker import make_app
    from fumikura.worker.heartbeat import Heartbeat, start_beating
    from fumikura.worker.lease_keeping import start_watching
    from fumikura.worker.stream import Stream
    from fumikura.worker.tasks import add_tasks
    from fumikura.worker.trial_page import read_trial_page

    engine, stop = open_database(settings.database_url), threading.Event()
    reports.state(RUNS)
    heart = Heartbeat(engine, card, reports)
    start_beating(heart, stop)
    try:
        reader = (load_reader or _load_reader)(settings, device)
        if reader.recipe.digest != card.recipe_digest:
            raise CheckpointError("the weights files have changed since the program started; start it again")
        reports.state(LOADED)
        read_trial_page(reader, limit_s=settings.page_time_limit_s)
        reports.state(TRIED)
        app = make_app(settings, reader.recipe)
        stream = Stream(engine, reader, settings=settings, worker=card.name, stop=stop, reports=reports)
        heart.stream = stream
        add_tasks(app, stream)
        start_watching(engine, app, stream, settings=settings, stop=stop)
        return _work(app, stop, reports=reports, leave=lambda: _leave(engine, heart))
    finally:
        stop.set()
        heart.end()


def _load_reader(settings: Settings, device: str) -> RecipeReader:
    from fumikura.core.recognition.models.device import try_device
    from fumikura.core.recognition.reader import load_reader

    try_device(device)  # whose error says what to do
    return load_reader(settings, device)


def _work(app: Celery, stop: threading.Event, *, reports: Reports, leave: Callable[[], None]) -> int:
    """Take chunks until a signal comes; return AWAY if Celery gave up before, as it does over its broker."""
    from celery.signals import worker_ready, worker_shutting_down

    def begin_to_stop(**_: Any) -> None:
        stop.set()
        timer = threading.Timer(STOP_GRACE_S, leave)
        timer.daemon = True
        timer.start()

    def tell_that_it_is_ready(**_: Any) -> None:
        reports.state(READY)

    worker_ready.connect(tell_that_it_is_ready, weak=False)
    worker_shutting_down.connect(begin_to_stop, weak=False)
    # Celery warns of what does not concern us: root and pickles, which are not accepted, and
    # late messages that come twice. A chunk handed back is no error.
    warnings.filterwarnings("ignore", module=r"celery\.")
    logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
    # "Couldn't ack": the broker went away meanwhile. The message comes again and finds nothing to do.
    logging.getLogger("celery.worker.request").addFilter(lambda line: line.levelno < logging.CRITICAL)
    # A Redis that takes no writes is waited for, and is no fault of the program.
    logging.getLogger("kombu.transport.redis").addFilter(_without_traceback)
    # Threads, because CUDA does not survive a fork; one, because a device reads one group at a time.
    worker = app.Worker(
        hostname=f"fumikura-{os.getpid()}@{socket.gethostname()}",
        pool="threads",
        concurrency=1,
        loglevel=logging.getLevelName(logging.getLogger().level),
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return AWAY if worker.exitcode and not stop.is_set() else 0


def _without_traceback(line: logging.LogRecord) -> bool:
    line.exc_info = None
    return True


def _leave(engine: Engine, heart: Heartbeat) -> None:
    """End although pages are in hand: these go back to the queue."""
    from fumikura.core.store.leases import hand_back

    try:
        hand_back(engine, heart.card.name)
        heart.end()
    finally:
        os._exit(0)


def _end_with_parent() -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass  # no standard input is as good as a closed one
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(BROKEN)


if __name__ == "__main__":
    sys.exit(main())
