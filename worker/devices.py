"""This module finds the devices to read on, without loading torch into this process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from fumikura.core.counting import counted
from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings

#: Libraries that each start as many threads as there are cores, in every process.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: What a worker on a CPU takes at most, with pages like those of docs/reliability.md.
WORKER_BYTES = 2 << 30

#: What a container may use, in either version of Linux's control groups.
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_COUNT_CUDA = "import torch; print(torch.cuda.device_count())"


def find_devices(wanted: str) -> list[str]:
    """Find the devices that "auto" or a list means; "cuda" alone means all of them, "cpu:2" the CPU twice.

    Raises:
        UsageError: a word of the list is no device.
    """
    if wanted == "auto":
        return _cuda_devices() or ["cpu"]
    devices: list[str] = []
    for device in listed_devices(wanted):
        if device == "cuda":
            devices += _cuda_devices() or ["cuda:0"]
        elif device.startswith("cpu"):
            devices += ["cpu"] * int(device.partition(":")[2] or 1)
        else:
            devices.append(device)
    return devices


def listed_devices(wanted: str) -> list[str]:
    """Split a list of devices, or "auto", without a look at what there is.

    Raises:
        UsageError: a word of the list is no device.
    """
    if wanted == "auto":
        return [wanted]
    words = wanted.lower().split(",")
    for word in words:
        if not re.fullmatch(r"\s*(cpu(:[1-9]\d?)?|mps|cuda(:\d+)?)\s*", word):
            raise UsageError(f"{word!r} is no device; write auto, cpu:2, or a list such as cuda:0,cuda:1")
    return [word.strip() for word in words]


def worker_devices(settings: Settings) -> list[str]:
    """Choose the device of each worker process.

    Raises:
        UsageError: a word of `settings.devices` is no device.
    """
    devices = find_devices(settings.devices)
    if settings.workers:
        return [device for device in devices for _ in range(settings.workers)]
    if settings.devices == "auto" and devices == ["cpu"]:
        # Two threads do not read a page twice as fast as one, two workers do read twice as many.
        return ["cpu"] * max(1, min(n_cores(), free_memory() // WORKER_BYTES))
    return devices


def child_environment(settings: Settings, device: str, n_children: int) -> dict[str, str]:
    """Make the environment of a worker process that is to see one device and its share of the cores."""
    threads = n_threads(settings, n_children)
    return {
        **os.environ,
        **settings.overridden(threads=threads).to_environment(),
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        # For torch: tensors in pages of 2 MiB where Linux gives them. Page by page, getting the memory of
        # a large map takes as long as a convolution of it.
        "THP_MEM_ALLOC_ENABLE": "1",
        # A worker that sees only its own device cannot take memory on another by mistake.
        "CUDA_VISIBLE_DEVICES": _visible(device, os.environ),
    }


def n_threads(settings: Settings, n_children: int) -> int:
    """Count the threads that each of some worker processes has."""
    return settings.threads or max(1, n_cores() // n_children)


def device_within(device: str) -> str:
    """Return the name by which a worker process itself calls the one device that it sees."""
    return "cuda:0" if device.startswith("cuda") else device


def n_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Count the bytes that this process and its children may still take."""
    limits = [path.read_text().strip() for name in _MEMORY_LIMITS if (path := Path(name)).is_file()]
    return min([psutil.virtual_memory().available, *(int(limit) for limit in limits if limit.isdigit())])


def _visible(device: str, environment: Mapping[str, str]) -> str:
    if not device.startswith("cuda"):
        return ""
    number = int(device.partition(":")[2])
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if not visible:
        return str(number)
    if number >= len(visible):
        raise UsageError(
            f"{device} does not exist: CUDA_VISIBLE_DEVICES={','.join(visible)} leaves"
            f" {counted(len(visible), 'device')}"
        )
    return visible[number]


def _cuda_devices() -> list[str]:
    """List what torch can use. Another process is asked: CUDA, once begun, is of no use to children."""
    if not _has_driver():
        return []
    answer = subprocess.run(
        [sys.executable, "-P", "-c", _COUNT_CUDA], capture_output=True, text=True, check=False
    )
    count = answer.stdout.strip()
    return [f"cuda:{number}" for number in range(int(count))] if count.isdigit() else []


def _has_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
