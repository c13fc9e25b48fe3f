"""This module names the machine, the same in all its processes and containers."""

from __future__ import annotations

import platform
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


#: What makes networks fast on an x86 processor, by Linux's name for it; each implies those after it.
_FAST = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx2": "AVX2",
}


@cache
def processor() -> str:
    """Name the processor, and what networks read fast with, as far as the system tells.

    "Intel(R) Xeon(R) Processor, AMX, AVX512-BF16": another may take several times as long for the same pages.
    """
    try:
        return processor_in(Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        return processor_in("")


def processor_in(told: str) -> str:
    """Name the first core of what Linux tells in /proc/cpuinfo, as `processor` does."""
    first, _, _ = told.partition("\n\n")
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }
    name = facts.get("model name") or platform.processor() or platform.machine()
    flags = facts.get("flags", "").split()
    found = [shown for flag, shown in _FAST.items() if flag in flags]
    # bf16 says all that VNNI would say, VNNI all that AVX2 would.
    return ", ".join([name, *(found[:2] if found[:1] == ["AMX"] else found[:1])])
