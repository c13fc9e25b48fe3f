"""What the chaos suite breaks, and how it sees that the cluster got over it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil
from sqlalchemy import func, select

from fumikura.core.errors import DatabaseError
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import read_transaction
from fumikura.worker.broker import make_app, reached, wake
from fumikura.worker.identity import worker_name
from tests.chaos.cluster import Cluster

#: How long a server stays away.
AWAY_S = (1.0, 5.0)
LONGEST_FREEZE_S = 120.0
#: How long to wait for a worker that holds pages, before one is struck that holds none.
BUSY_WITHIN_S = 20.0


@dataclass(slots=True)
class Fault:
    """Something that was broken.

    Attributes:
        broken_s: monotonic time from which the recovery counts: of the blow to a worker, or of the
            moment at which a server answered again.
        is_over: whether nothing is left of it.
        recovered_s: monotonic time at which nothing was left of it.
    """

    kind: str
    broken_s: float
    is_over: Callable[[], bool]
    recovered_s: float | None = None


def kill_worker(cluster: Cluster, chance: random.Random) -> Fault:
    """kill -9 of a worker process, over when no page is leased to it any more."""
    _, name = _strike(cluster, chance.randrange(len(cluster.launchers)), signal.SIGKILL)
    return Fault("worker killed", time.monotonic(), lambda: _n_held(cluster.engine, name) == 0)


def kill_host(cluster: Cluster, chance: random.Random) -> Fault:
    """kill -9 of a launcher and its worker process at once; the launcher is started anew."""
    place = chance.randrange(len(cluster.launchers))
    _, name = _strike(cluster, place, signal.SIGKILL)
    cluster.launchers[place].kill()
    broken_s = time.monotonic()
    cluster.start_launcher(place)
    return Fault("worker and launcher killed", broken_s, lambda: _n_held(cluster.engine, name) == 0)


def freeze_host(cluster: Cluster, chance: random.Random) -> Fault:
    """SIGSTOP of a launcher and its worker process, and SIGCONT when the others did without them.

    That is, when these have its pages, and still finish some after a lease's time: more is announced to
    them than they read in a moment.
    """
    place = chance.randrange(len(cluster.launchers))
    worker, name = _strike(cluster, place, signal.SIGSTOP)
    cluster.launchers[place].send_signal(signal.SIGSTOP)
    fault = Fault("worker and launcher frozen", time.monotonic(), lambda: False)
    time.sleep(cluster.settings.lease_s)
    goes_on = finishes_another(cluster)
    while fault.recovered_s is None and time.monotonic() - fault.broken_s < LONGEST_FREEZE_S:
        time.sleep(0.2)
        if _n_held(cluster.engine, name) == 0 and (goes_on() or cluster.summary().queued == 0):
            fault.recovered_s = time.monotonic()
    cluster.launchers[place].send_signal(signal.SIGCONT)
    with suppress(psutil.NoSuchProcess):  # its watchdog may have ended it first
        worker.send_signal(signal.SIGCONT)
    return fault


def restart_broker(cluster: Cluster, chance: random.Random) -> Fault:
    """The broker dies, and comes back with what it kept."""
    cluster.broker.kill()
    time.sleep(chance.uniform(*AWAY_S))
    cluster.broker.start_again()
    return Fault("broker restarted", time.monotonic(), finishes_another(cluster))


def empty_broker(cluster: Cluster, chance: random.Random) -> Fault:
    """The broker dies, and comes back with nothing."""
    cluster.broker.kill()
    cluster.broker.forget()
    time.sleep(chance.uniform(*AWAY_S))
    cluster.broker.start_again()
    return Fault("broker lost all its data", time.monotonic(), finishes_another(cluster))


def restart_database(cluster: Cluster, chance: random.Random) -> Fault:
    """The database crashes amid its transactions, and comes back."""
    cluster.database.kill()
    time.sleep(chance.uniform(*AWAY_S))
    cluster.database.start_again()
    return Fault("database restarted", time.monotonic(), finishes_another(cluster))


def double_messages(cluster: Cluster, chance: random.Random) -> Fault:
    """Messages by the dozen, though every worker is awake, or nothing waits."""
    app = make_app(cluster.settings, cluster.recipe)
    with reached(app) as connection:
        wake(app, connection, cluster.recipe, chance.randint(20, 60))
    return Fault("messages too many", time.monotonic(), lambda: True, time.monotonic())


def _strike(cluster: Cluster, place: int, blow: signal.Signals) -> tuple[psutil.Process, str]:
    """Send a signal to the worker process of a launcher; which that was, and its name."""
    while True:
        worker, name = _busy_worker(cluster, place)
        with suppress(psutil.NoSuchProcess):  # a poison page was quicker
            worker.send_signal(blow)
            return worker, name


def _busy_worker(cluster: Cluster, place: int) -> tuple[psutil.Process, str]:
    """The worker process of a launcher, caught with pages in its hands if that can be, and its name."""
    deadline_s = time.monotonic() + BUSY_WITHIN_S
    while True:
        with suppress(psutil.NoSuchProcess, DatabaseError):
            worker = cluster.worker_processes(place)[0]
            name = worker_name(worker.pid)
            if _n_held(cluster.engine, name) or time.monotonic() > deadline_s:
                return worker, name
        time.sleep(0.02)


def finishes_another(cluster: Cluster) -> Callable[[], bool]:
    n_before = cluster.n_done()
    return lambda: cluster.n_done() > n_before


def _n_held(engine: Engine, worker: str) -> int:
    reading = tables.reading.c
    held = select(func.count()).where(reading.status == Status.LEASED, reading.worker == worker)
    with read_transaction(engine) as connection:
        return connection.execute(held).scalar_one()
