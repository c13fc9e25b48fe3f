"""The servers that the tests run on end with the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from fumikura.core.store.connecting import Engine
from tests.servers import running_redis

_RUN_BOTH = """
import time
from tests.servers import running_postgres, running_redis
with running_postgres() as postgres, running_redis() as queue:
    print(postgres.process.pid, queue.process.pid, flush=True)
    time.sleep(600)
"""


def test_a_test_has_a_database_with_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM page").scalar()

    assert count == 0


def test_a_redis_starts_again_where_it_was() -> None:
    with running_redis() as first:
        port = int(first.url.split(":")[2].split("/")[0])
        first.kill()
        with running_redis(port) as second, redis.Redis.from_url(second.url) as client:
            assert client.ping()

    assert first.url == second.url


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent ended")
def test_servers_end_when_the_tests_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN_BOTH], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as tests:
        assert tests.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
        folders = [server.cwd() for server in servers]

        tests.kill()

        gone, alive = psutil.wait_procs(servers, timeout=10)
        for folder in folders:
            shutil.rmtree(folder.removesuffix("/data"))

    assert len(gone) == 2
    assert not alive
