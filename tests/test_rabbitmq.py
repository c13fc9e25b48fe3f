"""What only RabbitMQ does. That workers share its pages like those of a Redis is in test_cluster.py."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.errors import BrokerError
from fumikura.core.settings import Settings
from fumikura.core.store.queries import run_summary
from fumikura.core.store.upgrading import open_database, upgrade
from fumikura.worker import health
from fumikura.worker.broker import make_app, reached, wake
from fumikura.worker.feeder import Feed, wake_up_to
from fumikura.worker.health import Pulse, watch_health
from fumikura.worker.prometheus import Metrics
from tests.chaos.storm import fingerprints
from tests.handmade import write_weights, write_zip
from tests.rabbitmq import PASSWORD, running_rabbitmq
from tests.servers import Server
from tests.simple_cluster import Cluster, queued_pages
from tests.simple_launcher import children, program, wait_until
from tests.simple_reader import RECIPE

pytestmark = [pytest.mark.slow, pytest.mark.rabbitmq]

PAGE_S = 0.5


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_cluster(
    tmp_path: Path, postgres_url: str, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Cluster]:
    """A function that queues eight slow pages in chunks of four, for the workers of a RabbitMQ."""
    monkeypatch.setenv("SIMPLE_PAGE_S", str(PAGE_S))
    monkeypatch.setenv("SIMPLE_READ_LOG", str(tmp_path / "read.log"))

    def make(broker: Server, **changes: object) -> Cluster:
        settings = Settings().overridden(
            database_url=postgres_url,
            broker_url=broker.url,
            devices="cpu",
            chunk_size=4,
            pages_per_batch=1,
            **changes,
        )
        return stack.enter_context(queued_pages(tmp_path, settings, 8))

    return make


def test_two_workers_read_over_rabbitmq_what_a_plain_run_reads(
    empty_rabbitmq: Server, postgres_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    write_zip(tmp_path / "book.zip", 12)
    segmenter, classifier = write_weights(tmp_path)
    alone = Settings(
        database_url=f"sqlite:///{tmp_path}/alone.db",
        segmenter_path=segmenter,
        classifier_path=classifier,
        devices="cpu",
        threads=1,
        chunk_size=2,
    )
    together = alone.overridden(database_url=postgres_url, broker_url=empty_rabbitmq.url)
    upgrade(alone.database_url)
    engines = [open_database(url) for url in (together.database_url, alone.database_url)]
    for engine in engines:
        stack.callback(engine.dispose)

    workers = [stack.enter_context(fumikura(together, "worker")) for _ in range(2)]
    with fumikura(together, "enqueue", str(tmp_path / "book.zip")) as enqueue:
        assert enqueue.wait(120) == 0
    wait_until(lambda: run_summary(engines[0], 1).is_finished, timeout_s=120)
    for worker in workers:
        worker.terminate()
    with fumikura(alone, "run", str(tmp_path / "book.zip")) as run:
        assert run.wait(120) == 0

    assert [worker.wait(20) for worker in workers] == [0, 0]
    read_together, read_alone = map(fingerprints, engines)
    assert len(read_alone) == 12
    assert read_together == read_alone


def test_the_message_of_a_killed_worker_comes_back_at_once_and_each_page_is_done_once(
    make_cluster: Callable[..., Cluster], empty_rabbitmq: Server, stack: ExitStack
) -> None:
    cluster = make_cluster(empty_rabbitmq)
    first = stack.enter_context(program(["work"], cluster.settings))
    cluster.wait_for(1)
    wait_until(lambda: cluster.n_messages == 0)  # the one that there was is in the worker's hands
    (child,) = children(first.pid)

    first.kill()
    child.kill()

    # Nobody is left who could send another.
    wait_until(lambda: cluster.n_messages == 1, timeout_s=10)
    stack.enter_context(program(["work"], cluster.settings))
    cluster.wait_for(8)
    assert (cluster.summary.failed, cluster.summary.characters) == (0, 2 * 8)
    assert len(cluster.times_read) == 8
    assert sum(cluster.times_read.values()) <= 8 + 1  # the page that was lost with its worker


def test_a_message_that_rabbitmq_takes_back_costs_no_page_and_no_worker(
    make_cluster: Callable[..., Cluster], stack: ExitStack
) -> None:
    broker = stack.enter_context(running_rabbitmq(f"consumer_timeout = {int(1000 * PAGE_S)}"))
    cluster = make_cluster(broker)
    launcher = stack.enter_context(program(["work"], cluster.settings))
    cluster.wait_for(1)
    (child,) = children(launcher.pid)

    cluster.wait_for(8)

    assert children(launcher.pid) == [child]
    assert set(cluster.times_read.values()) == {1}
    assert "delivery acknowledgement on channel" in (broker.folder / "log").read_text()


def test_how_many_messages_wait_is_told_and_outlasts_a_restart(
    make_cluster: Callable[..., Cluster], empty_rabbitmq: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOOK_S", 0.01)
    cluster = make_cluster(empty_rabbitmq)
    feed = Feed(cluster.engine, make_app(cluster.settings, RECIPE), RECIPE, cluster.settings)
    told = [messages_told(feed)]

    wake_up_to(feed.app, RECIPE, 2)
    told.append(messages_told(feed))
    empty_rabbitmq.kill()
    told.append(messages_told(feed))
    empty_rabbitmq.start_again()
    told.append(messages_told(feed))

    assert told == [(0, 1), (2, 1), (0, 0), (2, 1)]


def test_a_rabbitmq_that_takes_nothing_is_named_instead_of_waited_for(stack: ExitStack) -> None:
    full = stack.enter_context(running_rabbitmq("vm_memory_high_watermark.absolute = 1MB"))
    wait_until(lambda: "resource limit alarm set" in (full.folder / "log").read_text())
    app = make_app(Settings(broker_url=full.url), RECIPE)

    with pytest.raises(BrokerError, match="timed out"), reached(app) as connection:
        wake(app, connection, RECIPE, 1)


def test_doctor_names_a_rabbitmq_that_refuses_the_password_and_not_the_password(
    rabbitmq_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = rabbitmq_server.url.replace(PASSWORD, "tahini")

    well, ill = (
        CliRunner().invoke(main, ["doctor", "--broker", url]) for url in (rabbitmq_server.url, wrong)
    )

    address = rabbitmq_server.url.rpartition("@")[2]
    assert f"✓ broker    amqp://{address} answers" in well.output
    assert f"✗ broker    the queue amqp://{address} does not answer" in ill.output
    assert "ACCESS_REFUSED" in ill.output
    assert PASSWORD not in well.output
    assert "tahini" not in ill.output


@contextmanager
def fumikura(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own, killed at the end if it still runs."""
    command = [sys.executable, "-c", "from fumikura.cli.main import main; main()", *arguments]
    environment = os.environ | settings.to_environment()
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def messages_told(feed: Feed) -> tuple[float | None, float | None]:
    """What a launcher's metrics say: how many messages wait, and whether the broker answers."""
    metrics, stop = Metrics(), threading.Event()

    def names_then_stop() -> list[str]:
        stop.set()
        return []

    watch_health(feed, metrics, Pulse(0.0), names=names_then_stop, stop=stop)
    value = metrics.registry.get_sample_value
    messages = value("fumikura_queue_messages", {"recipe": RECIPE.digest[:12]}) or 0
    return messages, value("fumikura_server_up", {"server": "broker"})
