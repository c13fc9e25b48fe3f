"""A real RabbitMQ, Debian's or any other that is installed, for as long as its tests run.

Nothing of the machine's own RabbitMQ is touched: the node has its own name, ports, folder and epmd.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from tests.servers import (
    Server,
    ended_at_last,
    free_port,
    server_folder,
    start_server,
    unprivileged_user,
    wait_for_answer,
)

USER, PASSWORD = "fumikura", "sesame"


@contextmanager
def running_rabbitmq(*settings: str) -> Iterator[Server]:
    """A RabbitMQ of its own, which keeps what it has when it is killed; skips the test where there is none.

    Args:
        settings: lines for its rabbitmq.conf.
    """
    program = _server_program()
    with server_folder() as folder:
        lines = (f"default_user = {USER}", f"default_pass = {PASSWORD}", *settings)
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        port, user = free_port(), unprivileged_user()
        environment = _environment(folder, port)
        url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port}//"
        # The registry of Erlang's nodes. RabbitMQ would start one too, and leave it behind.
        epmd = [_found("epmd"), "-address", "127.0.0.1", "-port", environment["ERL_EPMD_PORT"]]
        registry = start_server(epmd, folder, user=user)

        def start() -> subprocess.Popen[bytes]:
            process = start_server([program], folder, user=user, environment=environment)
            wait_for_answer(lambda: _ask(url), OperationalError, process, folder)
            return process

        try:
            server = Server(url, folder, start, start(), kept=["mnesia"])
            with ended_at_last(server, signal.SIGINT):
                yield server
        finally:
            registry.kill()
            registry.wait()


def _server_program() -> str:
    """The server itself: what Debian puts in the PATH writes its logs elsewhere, and is for root alone."""
    return str(Path(_found("rabbitmq-server")).resolve().with_name("rabbitmq-server"))


def _found(name: str) -> str:
    path = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if path is None:
        pytest.skip(f"no {name} here; apt-get install rabbitmq-server")
    return path


def _environment(folder: Path, port: int) -> dict[str, str]:
    ours = {
        "NODENAME": f"fumikura-{port}@localhost",
        "NODE_IP_ADDRESS": "127.0.0.1",
        "NODE_PORT": str(port),
        "DIST_PORT": str(free_port()),
        "MNESIA_BASE": str(folder / "mnesia"),
        "LOG_BASE": str(folder),
        "LOGS": "-",
        "CONFIG_FILE": str(folder / "rabbitmq"),
        "CONF_ENV_FILE": str(folder / "none"),
        "ENABLED_PLUGINS_FILE": str(folder / "none"),
        # SIGINT ends it instead of asking what to do; it looks once a second, not once a minute, which
        # messages were in a consumer's hands for too long.
        "SERVER_ADDITIONAL_ERL_ARGS": "+Bd -rabbit channel_tick_interval 1000",
    }
    return {
        **os.environ,
        **{f"RABBITMQ_{name}": value for name, value in ours.items()},
        "RUNNING_UNDER_SYSTEMD": "true",  # the process that was started becomes the server
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "HOME": str(folder),  # where Erlang keeps a secret
    }


def _ask(url: str) -> None:
    with Connection(url) as connection:  # type: ignore[no-untyped-call]
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
