"""This module keeps the state of a training in a safetensors file: tensors, and JSON that says where they go.

Nothing in such a file is ever run, as code in a pickle is, so a folder from elsewhere can be gone on with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

#: The entry of the file's metadata that holds the JSON.
_TREE = "tree"


def write_state(path: Path, state: Any) -> None:
    """Write dicts, lists, tuples, tensors, strings, numbers, booleans and None, however nested.

    Raises:
        OSError: the disk is full, or the folder may not be written to.
        TypeError: something else is among them.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_plain(state, tensors))
    try:
        save_file(tensors, path, metadata={_TREE: tree})
    except SafetensorError as error:
        raise OSError(str(error) or type(error).__name__) from error
    path.chmod(0o644)  # the library writes files that only their owner can read


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote, its tensors on the CPU.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            return _nested(json.loads((file.metadata() or {})[_TREE]), tensors)
    except (SafetensorError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no state of a training") from error


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value in JSON's terms; its tensors are put aside under a number each."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: the file format knows neither strides nor two tensors in one memory.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        # Pairs, because an optimizer's keys are numbers, which JSON would turn into strings.
        return {"dict": [[key, _plain(part, tensors)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_plain(part, tensors) for part in value]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a training's state holds a {type(value).__name__}, which cannot be kept")


def _nested(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _nested(part, tensors) for key, part in content}
    parts = [_nested(part, tensors) for part in content]
    return parts if kind == "list" else tuple(parts)
