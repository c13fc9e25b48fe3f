"""In which numbers the networks compute, and who computes them: torch, or OpenVINO where it is installed."""

from __future__ import annotations

import torch

from fumikura.core.errors import UsageError
from fumikura.core.recognition.models import on_openvino

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def find_precision(wanted: str, device: str) -> str:
    """Choose among "fp32", "bf16" and "fp16".

    Args:
        wanted: one of these, or "auto": bf16 where the device is fast in it, else fp32.

    Raises:
        UsageError: the device does not compute in what is wanted.
    """
    if wanted == "fp16" and torch.device(device).type == "cpu":
        raise UsageError("precision fp16 is for GPUs; take auto, bf16 or fp32 on a CPU")
    if wanted != "auto":
        return wanted
    return "bf16" if is_bf16_fast(torch.device(device)) else "fp32"


def is_openvinos(device: str, precision: str) -> bool:
    """Tell whether OpenVINO computes the networks: in bf16 on a CPU, where it is installed.

    In fp32 it takes as long as torch, and a quarter of a gigabyte more.
    """
    return torch.device(device).type == "cpu" and precision == "bf16" and on_openvino.is_installed()


def described(wanted: str, device: str) -> str:
    """Say in what the networks compute here and who computes them: "bf16, by OpenVINO".

    Raises:
        UsageError: the device does not compute in what is wanted.
    """
    precision = find_precision(wanted, device)
    who = "OpenVINO" if is_openvinos(device, precision) else "torch"
    return f"{precision}, by {who}"


def dtype_of(precision: str) -> torch.dtype:
    """Give torch's type of number for a precision that torch computes in."""
    return _DTYPES[precision]


def is_bf16_fast(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type == "cpu":
        # Without the instructions bf16 is emulated, and slower than fp32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
