"""This module names worker processes, and tells whether the process behind a name still lives."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil

from fumikura.core.host import boot
from fumikura.core.settings import Settings

#: Names of an older version may differ by so much: they were counted from a time of boot in whole seconds.
SAME_START_S = 2.0


def worker_name(pid: int | None = None) -> str:
    """Make a name that no other process of any host will ever carry: host/pid/start.

    Args:
        pid: a living process of this host; None means this one.
    """
    pid = os.getpid() if pid is None else pid
    return f"{_host()}/{pid}/{_started_s(pid):.2f}"


def is_dead(name: str) -> bool | None:
    """Tell whether the process that `worker_name` named has ended; None if that cannot be told from here."""
    host, _, rest = name.partition("/")
    pid, _, started = rest.partition("/")
    if host != _host():
        return None
    try:
        if psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(_started_s(int(pid)) - float(started)) > SAME_START_S
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None if _is_hidden(int(pid)) else True
    except ValueError:
        return None


def host_name(settings: Settings) -> str:
    """Name this machine for people."""
    return settings.host_name or socket.gethostname()


def _host() -> str:
    # Containers often share a host name, and a host that was started anew gives old process
    # numbers to new processes: boot and process namespace tell them apart.
    return ":".join((socket.gethostname(), boot()[:8] or "-", _process_namespace()))


def _process_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "-"


def _started_s(pid: int) -> float:
    """Tell when a process started, by a clock that nobody can set.

    psutil gives the time of day, to which before its version 7.1 a clock set meanwhile is added or not,
    depending on which module asked first. Elsewhere than on Linux the system itself keeps the time of day.
    """
    if sys.platform != "linux":
        return float(psutil.Process(pid).create_time())
    # The name of the program stands in brackets, and may itself hold brackets and spaces.
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _is_hidden(pid: int) -> bool:
    """Tell whether there is a process of this number of which the system tells nothing (hidepid)."""
    if sys.platform == "win32":
        return False  # where 0 is a signal as any other
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True
