"""What befalls a cluster though nothing in it dies: a mount, a failover, a clock, and people."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import redis

from fumikura.core.errors import DatabaseError, FumikuraError
from fumikura.core.page import PageReference
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgetting import doomed_by_run, forget
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.queries import cancel
from fumikura.core.store.upgrading import open_database
from fumikura.core.store.workers import State, list_workers
from tests.chaos.cluster import Cluster
from tests.chaos.faults import AWAY_S, Fault, finishes_another

#: How long a host is without its mount, and how long to wait until its worker has noticed.
UNMOUNTED_S = (3.0, 10.0)
NOTICED_WITHIN_S = 120.0  # a worker that was just killed may take half a minute to be back
#: How far a clock is set back.
STEP_S = 600
#: Requests of each operator, and pages in one.
N_REQUESTS, N_ASKED = 8, 40
#: How long an operator tries again to forget what is being read.
PATIENCE_S = 60.0


def lose_mount(cluster: Cluster, chance: random.Random) -> Fault:
    """The scans are not there on one host; over when its worker, which paused, takes pages again."""
    place = chance.randrange(len(cluster.launchers))
    cluster.unmount(place)
    deadline_s = time.monotonic() + NOTICED_WITHIN_S
    while not _is_paused(cluster, place) and time.monotonic() < deadline_s:
        cluster.replace_the_dead()
        time.sleep(0.2)
    if not _is_paused(cluster, place) and cluster.summary().queued:
        cluster.wrong.append(
            f"host-{place} did not notice within {NOTICED_WITHIN_S:.0f} s that its mount is gone"
        )
    time.sleep(chance.uniform(*UNMOUNTED_S))
    cluster.mount(place)
    return Fault(
        "mount missing on a host",
        time.monotonic(),
        lambda: not _is_paused(cluster, place) or cluster.summary().queued == 0,
    )


def refuse_writes(cluster: Cluster, chance: random.Random) -> Fault:
    """Redis takes no writes for a while, as in a failover."""
    with redis.Redis.from_url(cluster.broker.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        time.sleep(chance.uniform(*AWAY_S) + AWAY_S[1])
        client.execute_command("REPLICAOF", "NO", "ONE")
    return Fault("Redis takes no writes", time.monotonic(), finishes_another(cluster))


def set_clock_back(cluster: Cluster, chance: random.Random) -> Fault:  # noqa: ARG001
    """The database's clock is set back: for it, all that was noted lies in the future now."""
    columns = {
        tables.reading: ("lease_until",),
        tables.gate: ("next_at",),
        tables.worker: ("since", "started_at", "seen_at"),
    }
    with cluster.engine.begin() as connection:
        for table, names in columns.items():
            later = ", ".join(f"{name} = {name} + interval '{STEP_S} s'" for name in names)
            connection.exec_driver_sql(f"UPDATE {table.name} SET {later} WHERE {names[0]} IS NOT NULL")
    return Fault("clock set back", time.monotonic(), finishes_another(cluster))


def two_operators(cluster: Cluster, chance: random.Random) -> Fault:
    """Two people enqueue pages that are being read, cancel what they asked for and forget it, at once."""
    url = cluster.settings.database_url

    def operate(seed: int) -> list[str]:
        engine = open_database(url)
        try:
            return _operate(engine, cluster, random.Random(seed))
        finally:
            engine.dispose()

    with ThreadPoolExecutor() as threads:
        for wrong in threads.map(operate, [chance.random() for _ in range(2)]):
            cluster.wrong.extend(wrong)
    return Fault("two operators at once", time.monotonic(), finishes_another(cluster))


def _operate(engine: Engine, cluster: Cluster, chance: random.Random) -> list[str]:
    wrong: list[str] = []
    for _ in range(N_REQUESTS):
        try:
            asked = chance.sample(cluster.pages, min(N_ASKED, len(cluster.pages)))
            run_id = _enqueue(engine, cluster, asked)
            for act in chance.choice([(cancel,), (_forget,), (cancel, _forget), (_forget,)]):
                act(engine, run_id)
        except Exception as error:  # whatever a person would see
            wrong.append(f"an operator got {type(error).__name__}: {error}")
    return wrong


def _enqueue(engine: Engine, cluster: Cluster, pages: list[PageReference]) -> int:
    run_id = add_run(engine, cluster.recipe, command="operator")
    add_pages(engine, run_id, pages)
    finish_listing(engine, run_id)
    return run_id


def _forget(engine: Engine, run_id: int) -> int:
    """Forget a run; try again while some of its pages are being read, as the message says."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return forget(engine, doomed_by_run(engine, run_id))
        except DatabaseError:
            raise
        except FumikuraError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)


def _is_paused(cluster: Cluster, place: int) -> bool:
    with suppress(DatabaseError):
        return any(
            worker.host == f"host-{place}" and worker.state is State.PAUSED
            for worker in list_workers(cluster.engine)
        )
    return False
