"""Workers that share a broker and a PostgreSQL, as on several machines.

The broker is a Redis, and in `make test-rabbitmq` a RabbitMQ.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from fumikura.core.errors import BrokerError, DatabaseError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.worker.broker import make_app, queue_name, reached
from fumikura.worker.feeder import wake_cluster
from fumikura.worker.launcher import work
from tests.servers import Server, running_redis
from tests.simple_cluster import Cluster, queued_pages
from tests.simple_launcher import children, program, wait_until
from tests.simple_reader import RECIPE

pytestmark = pytest.mark.slow

N_PAGES = 48


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest, stack: ExitStack) -> Server:
    """An empty broker that may be killed."""
    if request.param == "redis":
        return stack.enter_context(running_redis(survives=True))
    server: Server = request.getfixturevalue("empty_rabbitmq")
    return server


@pytest.fixture
def cluster(
    tmp_path: Path, postgres_url: str, broker: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    monkeypatch.setenv("SIMPLE_PAGE_S", "0.1")
    monkeypatch.setenv("SIMPLE_READ_LOG", str(tmp_path / "read.log"))
    settings = Settings().overridden(
        database_url=postgres_url,
        broker_url=broker.url,
        devices="cpu",
        chunk_size=4,
        pages_per_batch=2,
    )
    with queued_pages(tmp_path, settings, N_PAGES) as cluster:
        yield cluster


def test_two_workers_share_the_pages_and_read_each_once(cluster: Cluster, stack: ExitStack) -> None:
    wake_cluster(cluster.settings, cluster.engine, RECIPE)
    programs = [stack.enter_context(program(["work"], cluster.settings)) for _ in range(2)]

    cluster.wait_for(N_PAGES)
    for process in programs:
        process.terminate()

    assert [process.wait(timeout=10) for process in programs] == [0, 0]
    assert cluster.summary.characters == 2 * N_PAGES
    assert set(cluster.times_read.values()) == {1}
    shares = readings_by_worker(cluster.engine)
    assert len(shares) == 2
    assert min(shares.values()) >= 8


def test_a_worker_that_ends_hands_its_pages_to_the_other(cluster: Cluster, stack: ExitStack) -> None:
    first, second = (stack.enter_context(program(["work"], cluster.settings)) for _ in range(2))
    cluster.wait_for(8)

    first.terminate()

    assert first.wait(timeout=8) == 0
    cluster.wait_for(N_PAGES)
    second.terminate()
    assert second.wait(timeout=8) == 0
    assert cluster.summary.characters == 2 * N_PAGES


def test_when_a_worker_is_killed_with_its_launcher_the_others_go_on(
    cluster: Cluster, stack: ExitStack
) -> None:
    first, _second = (stack.enter_context(program(["work"], cluster.settings)) for _ in range(2))
    cluster.wait_for(8)
    (child,) = children(first.pid)

    first.kill()
    child.kill()

    # Were the pages not taken back from the dead, they would wait until their leases run out.
    wait_until(lambda: cluster.summary.is_finished, timeout_s=cluster.settings.lease_s / 2)
    assert (cluster.summary.done, cluster.summary.characters) == (N_PAGES, 2 * N_PAGES)


def test_messages_that_the_broker_loses_cost_no_page(cluster: Cluster, stack: ExitStack) -> None:
    stack.enter_context(program(["work"], cluster.settings))
    cluster.wait_for(4)

    drop_messages(cluster)

    cluster.wait_for(N_PAGES)
    assert set(cluster.times_read.values()) == {1}


@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
def test_a_broker_that_dies_and_comes_back_costs_no_page(
    cluster: Cluster, broker: Server, stack: ExitStack, forgets: bool
) -> None:
    worker = stack.enter_context(program(["work"], cluster.settings))
    cluster.wait_for(4)

    broker.kill()
    if forgets:
        broker.forget()
    broker.start_again()

    cluster.wait_for(N_PAGES)
    assert cluster.summary.failed == 0
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    assert set(cluster.times_read.values()) == {1}


@pytest.mark.parametrize(
    ("refuse", "allow"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    ],
    ids=["a failover", "no memory"],
)
def test_a_redis_that_takes_no_writes_is_waited_for(
    cluster: Cluster, stack: ExitStack, tmp_path: Path, refuse: tuple[str, ...], allow: tuple[str, ...]
) -> None:
    if not cluster.settings.broker_url or not cluster.settings.broker_url.startswith("redis"):
        pytest.skip("RabbitMQ has alarms for this, see tests/test_rabbitmq.py")
    log = tmp_path / "worker.log"
    worker = stack.enter_context(program(["work"], cluster.settings, log=log))
    cluster.wait_for(4)

    with redis.Redis.from_url(cluster.settings.broker_url) as client:
        client.execute_command(*refuse)
        time.sleep(12)  # long enough for three ends in a row, were a worker to end over it
        assert worker.poll() is None
        client.execute_command(*allow)

    cluster.wait_for(N_PAGES)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    assert (cluster.summary.failed, set(cluster.times_read.values())) == (0, {1})
    said = log.read_text()
    assert "ended with" not in said
    assert 1 <= said.count("the broker takes no orders") <= 12  # in growing pauses
    assert "Traceback" not in said


def test_connections_that_the_database_cuts_cost_no_page(cluster: Cluster, stack: ExitStack) -> None:
    worker = stack.enter_context(program(["work"], cluster.settings))

    for n_done in (4, 12, 20):
        cluster.wait_for(n_done)
        cut_connections(cluster.engine)

    cluster.wait_for(N_PAGES)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    assert (cluster.summary.failed, cluster.summary.characters) == (0, 2 * N_PAGES)
    assert set(cluster.times_read.values()) == {1}


def test_a_worker_without_its_broker_ends_with_one_line(cluster: Cluster) -> None:
    settings = cluster.settings.overridden(broker_url="redis://localhost:9/0")

    with pytest.raises(BrokerError, match="does not answer"):
        work(settings, RECIPE, stop=threading.Event())


def test_a_worker_without_its_database_ends_with_one_line(cluster: Cluster) -> None:
    settings = cluster.settings.overridden(database_url="postgresql://nobody@localhost:9/none")

    with pytest.raises(DatabaseError):
        work(settings, RECIPE, stop=threading.Event())


def cut_connections(engine: Engine) -> None:
    """End every connection to the database but our own, as its restart would."""
    others = "backend_type = 'client backend' AND pid != pg_backend_pid()"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def drop_messages(cluster: Cluster) -> None:
    """Empty the queue behind everybody's back."""
    app = make_app(cluster.settings, RECIPE)
    with reached(app) as connection:
        connection.default_channel.queue_purge(queue_name(RECIPE))  # type: ignore[no-untyped-call]


def readings_by_worker(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT worker, count(*) FROM reading GROUP BY worker")
        return {str(worker): int(count) for worker, count in rows}
