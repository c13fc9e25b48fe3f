"""This module names worker processes, and tells whether the process behind a name still lives."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil

from fumikura.core.host import boot

#: The time of boot is known in whole seconds, and may round otherwise the next time.
SAME_START_S = 2.0


def worker_name(pid: int | None = None) -> str:
    """Make a name that no other process of any host will ever carry: host/pid/start.

    Args:
        pid: a living process of this host; None means this one.
    """
    process = psutil.Process(pid)
    return f"{_host()}/{process.pid}/{_seconds_after_boot(process):.2f}"


def is_dead(name: str) -> bool | None:
    """Tell whether the process that `worker_name` named has ended; None if only its own host can tell."""
    host, _, rest = name.partition("/")
    pid, _, started = rest.partition("/")
    if host != _host():
        return None
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(_seconds_after_boot(process) - float(started)) > SAME_START_S
    except psutil.NoSuchProcess:
        return True
    except ValueError:
        return None


def _host() -> str:
    # Containers often share a host name, and a host that was started anew gives old process
    # numbers to new processes: boot and process namespace tell them apart.
    return ":".join((socket.gethostname(), boot()[:8] or "-", _process_namespace()))


def _process_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "-"


def _seconds_after_boot(process: psutil.Process) -> float:
    # The difference, because the time of day of both moves when the clock is set.
    return process.create_time() - psutil.boot_time()
