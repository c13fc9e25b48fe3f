"""Try a device, and look at what it does while a worker is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from fumikura.core.counting import counted
from fumikura.core.errors import DeviceError, first_line
from fumikura.core.host import processor


def try_device(name: str, *, n_threads: int | None = None) -> str:
    """Describe a device, once it has run a small convolution.

    Args:
        name: as torch knows it: "cpu", "cuda", "cuda:1".
        n_threads: that this process is to have from now on; None leaves them.

    Raises:
        DeviceError: there is no such device, or it does not work.
    """
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        device = torch.device(name)
        ink = torch.ones(1, 1, 8, 8, device=device)
        torch.nn.functional.conv2d(ink, ink[..., :3, :3]).sum().item()
    # torch without CUDA answers with an AssertionError, a broken driver with a RuntimeError.
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"{name} does not work ({first_line(error)}); see `nvidia-smi`, or take the device cpu"
        ) from error
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return f"{name}: {found.name}, {found.total_memory / 2**30:.0f} GiB"
    return f"{name}: {processor()}, with {counted(torch.get_num_threads(), 'thread')}"


@contextmanager
def traced(path: Path) -> Iterator[None]:
    """Write what torch does in this thread meanwhile, as a trace for chrome://tracing or ui.perfetto.dev."""
    with torch.profiler.profile() as profiler:
        yield
        profiler.add_metadata("program", "fumikura")
    profiler.export_chrome_trace(str(path))


def gpu_utilisation(device: str) -> float | None:
    """Ask in what share of the last moment the GPU computed; None on a CPU, or without nvidia-ml-py."""
    if not device.startswith("cuda"):
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except (ModuleNotFoundError, RuntimeError):
        return None


def peak_gpu_bytes(device: str) -> int | None:
    """Ask how much tensors took at most on the GPU in this process; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None
