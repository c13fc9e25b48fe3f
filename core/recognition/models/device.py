"""Whether a device does what a worker will ask of it."""

from __future__ import annotations

import platform

import torch

from fumikura.core.errors import DeviceError


def try_device(name: str) -> str:
    """What a device is, once it has run a small convolution.

    Args:
        name: as torch knows it: "cpu", "cuda", "cuda:1".

    Raises:
        DeviceError: there is no such device, or it does not work.
    """
    try:
        device = torch.device(name)
        ink = torch.ones(1, 1, 8, 8, device=device)
        torch.nn.functional.conv2d(ink, ink[..., :3, :3]).sum().item()
    # torch without CUDA answers with an AssertionError, a broken driver with a RuntimeError.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"{name} does not work ({reason}); see `nvidia-smi`, or take the device cpu"
        ) from error
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return f"{name}: {found.name}, {found.total_memory / 2**30:.0f} GiB"
    return f"{name}: {platform.machine()}, {torch.get_num_threads()} threads"
