"""Real databases and a real queue for every test that names them.

A session (with xdist: each of its workers) starts each server once, when the first
test asks for it. Every test gets a database with all tables and no rows.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from sqlalchemy import create_engine, make_url

from fumikura.core.archives.manifests import _open_unchanged
from fumikura.core.archives.urls import _file_system
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.tables import metadata
from fumikura.core.store.upgrading import open_database, upgrade
from fumikura.worker.broker import make_app, queue_name, reached
from tests.rabbitmq import running_rabbitmq
from tests.servers import Server, running_postgres, running_redis
from tests.simple_reader import RECIPE
from tests.web import Web, running_web

# With the checkout on the path, a name in a string, where ruff does not look, would load a module of ours
# a second time.
sys.modules.update(dict.fromkeys(["core", "worker", "cli", "web", "migrations"]))  # type: ignore[arg-type]
# xdist tells its processes how wide the terminal is; tables in tests are as wide as without one.
os.environ.pop("COLUMNS", None)


def pytest_xdist_auto_num_workers() -> int:
    """Two processes a core: half the time a test waits for a process that it has started."""
    return min(8, 2 * (os.cpu_count() or 1))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL without our tables."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server: Server) -> Server:
    """A PostgreSQL whose database `postgres` has our tables."""
    upgrade(postgres_server.url)
    return postgres_server


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def make_postgres(postgres_server: Server) -> Iterator[Callable[[], str]]:
    """A function that makes a PostgreSQL database without tables, and gives its URL."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test_{uuid4().hex}")
        _execute(postgres_server, f"CREATE DATABASE {names[-1]}")
        return make_url(postgres_server.url).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    for name in names:
        _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgres_url(make_postgres: Callable[[], str]) -> str:
    """A PostgreSQL database without tables."""
    return make_postgres()


@pytest.fixture
def postgres_url(_migrated_postgres: Server) -> str:
    """A PostgreSQL database with our tables, and nothing in them.

    The same database for each test, emptied: to make one takes most of a second.
    """
    leftovers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    _execute(_migrated_postgres, f"{leftovers} AND pid != pg_backend_pid()")
    _execute(_migrated_postgres, f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    return _migrated_postgres.url


@pytest.fixture
def sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """A SQLite file with our tables, and nothing in them."""
    path = tmp_path / "fumikura.db"
    shutil.copyfile(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each test runs twice: on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def quick_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries to fetch, and nothing that another test has left open."""
    monkeypatch.setattr("fumikura.core.archives.retrying.pause_s", lambda _n: 0.01)
    _file_system.cache_clear()
    _open_unchanged.cache_clear()


@pytest.fixture
def web(quick_web: None) -> Iterator[Web]:  # noqa: ARG001, it comes first
    """A web server that has what a test puts there."""
    with running_web() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A Redis that all tests share; one that is to be killed is a test's own, by `running_redis`."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[Server]:
    """A RabbitMQ that all tests share: to start one takes ten seconds."""
    with running_rabbitmq() as server:
        yield server


@pytest.fixture
def empty_rabbitmq(rabbitmq_server: Server) -> Iterator[Server]:
    """A RabbitMQ without messages for the simple reader; a test may kill it, and start it again."""
    with reached(make_app(Settings(broker_url=rabbitmq_server.url), RECIPE)) as connection:
        connection.default_channel.queue_delete(queue_name(RECIPE))  # type: ignore[no-untyped-call]
    yield rabbitmq_server
    if rabbitmq_server.process.poll() is not None:
        rabbitmq_server.start_again()


def _execute(server: Server, statement: str) -> None:
    url = make_url(server.url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where to export: a folder that is not there yet."""
    return tmp_path / "out"
