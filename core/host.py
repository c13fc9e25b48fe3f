"""This module names the machine, the same in all its processes and containers."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """Name this machine by its kernel's boot, or by its host name where the kernel does not tell."""
    return boot() or socket.gethostname()


def boot() -> str:
    """Give a name for the time since this machine was started; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
