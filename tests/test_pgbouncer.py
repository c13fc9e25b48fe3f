"""A real pgbouncer, where one is installed, stands before PostgreSQL and gives its sessions to many."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from fumikura.core.store.connecting import KEPT_CONNECTIONS, MORE_CONNECTIONS, connect
from fumikura.core.store.forgetting import doomed_by_run, forget
from fumikura.core.store.leases import hand_back, renew
from fumikura.core.store.lookup import get_page
from fumikura.core.store.queries import cancel, overview, run_summary
from fumikura.core.store.search import find_characters
from fumikura.core.store.tables import Status
from fumikura.core.store.upgrading import open_database
from tests.servers import (
    Server,
    ended_at_last,
    free_port,
    server_folder,
    start_server,
    unprivileged_user,
    wait_for_answer,
)
from tests.simple_store import claim_all, make_pages, make_reading, read_all, start_run

#: Sessions of PostgreSQL that the pooler shares out.
N_SESSIONS = 2


@contextmanager
def running_pgbouncer(database_url: str) -> Iterator[str]:
    """The URL of a database behind a pgbouncer of its own; skips the test where none is installed."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    behind = make_url(database_url)
    with server_folder() as folder:
        port, user = free_port(), unprivileged_user()
        lines = [
            "[databases]",
            f"{behind.database} = host={behind.query['host']} user={behind.username}",
            "[pgbouncer]",
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
            f"pool_mode = transaction\ndefault_pool_size = {N_SESSIONS}",
            "auth_type = any",
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        address = f"host=127.0.0.1 port={port} user={behind.username} dbname={behind.database}"
        command = [program, str(folder / "pgbouncer.ini")]

        def start() -> subprocess.Popen[bytes]:
            process = start_server(command, folder, user=user, environment=dict(os.environ))
            wait_for_answer(
                lambda: psycopg.connect(address).close(), psycopg.OperationalError, process, folder
            )
            return process

        url = behind.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        server = Server(url, folder, start, start())
        with ended_at_last(server, signal.SIGINT):
            yield url


def test_pages_are_asked_for_read_and_forgotten_through_a_pooler(postgres_url: str) -> None:
    with running_pgbouncer(postgres_url) as url:
        engines = [open_database(url) for _ in range(6)]  # more than there are sessions
        run_id, _ = start_run(engines[0], make_pages(40))

        def read_some(number: int) -> None:
            worker = f"host/{number}/1.00"
            for claimed in claim_all(engines[number], worker=worker):
                renew(engines[number], worker, [claimed.reading_id], lease_s=60)
            hand_back(engines[number], worker)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(read_some, list(range(6)) * 5))
        read_all(engines[1], *[make_reading("いろは")] * 40)

        assert run_summary(engines[2], run_id).done == 40
        assert len(find_characters(engines[3], "ろは", limit=100)) == 40
        assert get_page(engines[4], "tale_001").text == "いろは"
        cancel(engines[5], run_id)
        assert forget(engines[0], doomed_by_run(engines[0], run_id)) == 40
        assert overview(engines[1]).readings[Status.DONE] == 0
        for engine in engines:
            engine.dispose()


def test_a_process_has_no_more_connections_than_it_says(postgres_url: str) -> None:
    engine = connect(postgres_url)
    start_run(engine, make_pages(1))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: overview(engine), range(60)))
        with engine.connect() as connection:
            count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            n_connections = connection.exec_driver_sql(count).scalar_one()

    assert 1 <= n_connections <= KEPT_CONNECTIONS + MORE_CONNECTIONS
    engine.dispose()
