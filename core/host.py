"""Which machine this is, the same in all its processes and containers."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """The boot of this machine's kernel; its name, where the kernel does not tell."""
    return boot() or socket.gethostname()


def boot() -> str:
    """A name for the time since this machine was started; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
