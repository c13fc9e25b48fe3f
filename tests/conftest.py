"""Real databases and a real queue for every test that names them.

A session (with xdist: each of its workers) starts each server once, when the first
test asks for it. Every test gets a fresh database with all tables.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from sqlalchemy import create_engine, make_url

from core.store.session import Engine, open_database, upgrade
from tests.servers import Server, running_postgres, running_redis

_TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL without our tables."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server: Server) -> Server:
    """A PostgreSQL with a database that all tests' databases are copies of."""
    _execute(postgres_server, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(database_of(postgres_server, _TEMPLATE))
    return postgres_server


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_postgres_url(postgres_server: Server) -> Iterator[str]:
    """A PostgreSQL database without tables."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(_migrated_postgres: Server) -> Iterator[str]:
    """A PostgreSQL database with our tables, and nothing in them."""
    with fresh_database(_migrated_postgres, template=_TEMPLATE) as url:
        yield url


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


def database_of(server: Server, name: str) -> str:
    """The URL of another database on the same server."""
    return make_url(server.url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def fresh_database(server: Server, *, template: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database_of(server, name)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: Server, statement: str) -> None:
    url = make_url(server.url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
