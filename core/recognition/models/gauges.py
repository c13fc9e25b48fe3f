"""What the networks did and their device had to bear, for whoever measures a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fumikura.core.recognition.models.inference import Batches


@dataclass(slots=True)
class Fill:
    """What went into the batches of one network.

    Attributes:
        n_inputs: patches or crops.
        n_slots: for how many there was room in the batches that they made.
        n_pixels: of all inputs together.
    """

    n_inputs: int = 0
    n_slots: int = 0
    n_pixels: int = 0

    @property
    def share(self) -> float | None:
        """Of the slots, those that held something real; None before the first batch."""
        return self.n_inputs / self.n_slots if self.n_slots else None


@contextmanager
def counted_batches() -> Iterator[Mapping[str, Fill]]:
    """The fill of all "patches" and all "crops" that this process's networks get while the block lasts."""
    fills = {"patches": Fill(), "crops": Fill()}
    plain = Batches.__call__

    def count(self: Batches, inputs: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        fill = fills["patches" if inputs.shape[1] == 3 else "crops"]

        def run_batch(model: nn.Module, batch: Tensor) -> Tensor:
            fill.n_slots += self._batch_size
            return run(model, batch)

        fill.n_inputs += len(inputs)
        fill.n_pixels += len(inputs) * inputs.shape[2] * inputs.shape[3]
        return plain(self, inputs, run_batch)

    # In its place for this while only, so that reading itself need not count.
    Batches.__call__ = count  # type: ignore[method-assign]
    try:
        yield fills
    finally:
        Batches.__call__ = plain  # type: ignore[method-assign]


@contextmanager
def traced(path: Path) -> Iterator[None]:
    """Write what torch does in this thread meanwhile, as a trace for chrome://tracing or ui.perfetto.dev."""
    with torch.profiler.profile() as profiler:
        yield
    profiler.export_chrome_trace(str(path))


def gpu_utilisation(device: str) -> float | None:
    """Share of the last moment in which the GPU computed; None on a CPU, or without nvidia-ml-py."""
    if not device.startswith("cuda"):
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except (ModuleNotFoundError, RuntimeError):
        return None


def peak_gpu_bytes(device: str) -> int | None:
    """The most that tensors took on the GPU in this process; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None
