"""Weights files: safetensors with the model's kind, configuration and labels in the header.

Format: https://github.com/huggingface/safetensors. Nothing in a weights file is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.context import TrigramCounts
from core.errors import CheckpointError
from core.models.glyph_net import GlyphNet, GlyphNetConfig
from core.models.unet import UNet, UNetConfig
from core.vocabulary import Vocabulary

M = TypeVar("M", bound=nn.Module)


def save_segmenter(path: Path, model: UNet, config: UNetConfig) -> None:
    _save(path, model, {"kind": "segmenter", "config": json.dumps(asdict(config))})


def save_classifier(path: Path, model: GlyphNet, config: GlyphNetConfig, labels: Sequence[str]) -> None:
    header = {"kind": "classifier", "config": json.dumps(asdict(config)), "labels": json.dumps(list(labels))}
    _save(path, model, header)


def save_context(path: Path, counted: TrigramCounts) -> None:
    tensors = {
        "trigrams": torch.from_numpy(counted.trigrams),
        "counts": torch.from_numpy(counted.counts),
    }
    _write(path, tensors, {"kind": "context", "labels": json.dumps(counted.characters)})


def load_segmenter(path: Path) -> tuple[UNet, UNetConfig]:
    """A U-Net in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    header, tensors = _load(path, "segmenter")
    config = UNetConfig(**_with_tuples(json.loads(header["config"])))
    return _filled(UNet(config), tensors, path), config


def load_classifier(path: Path) -> tuple[GlyphNet, GlyphNetConfig, Vocabulary]:
    """A classifier in evaluation mode, and its labels.

    Raises:
        CheckpointError: the file is missing, damaged, holds something else, or its labels do
            not fit its classes.
    """
    header, tensors = _load(path, "classifier")
    config = GlyphNetConfig(**_with_tuples(json.loads(header["config"])))
    vocabulary = Vocabulary(json.loads(header["labels"]))
    if len(vocabulary) != config.n_classes:
        raise CheckpointError(
            f"{path} has {config.n_classes} classes but {len(vocabulary)} labels; train it again"
        )
    return _filled(GlyphNet(config), tensors, path), config, vocabulary


def load_context(path: Path) -> TrigramCounts:
    """The counts that a context model is made of.

    Raises:
        CheckpointError: the file is missing, damaged, holds something else, or its counts do not
            fit its labels.
    """
    header, tensors = _load(path, "context")
    characters = tuple(json.loads(header["labels"]))
    try:
        counted = TrigramCounts(characters, tensors["trigrams"].numpy(), tensors["counts"].numpy())
        is_sound = (
            counted.trigrams.shape == (len(counted.counts), 3)
            and counted.trigrams.dtype == counted.counts.dtype == np.uint16
            and counted.trigrams.max() <= len(characters)
            and counted.counts.min() > 0
        )
    except (KeyError, ValueError) as error:  # a tensor is missing or empty
        raise CheckpointError(f"{path} lacks the counts of a context; train it again") from error
    if not is_sound:
        raise CheckpointError(f"{path} has counts that do not fit its own labels; train it again")
    return counted


def _save(path: Path, model: nn.Module, header: dict[str, str]) -> None:
    # Half precision halves the file and changes no label; vectors (normalisation) stay exact.
    tensors = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in model.state_dict().items()
    }
    _write(path, tensors, header)


def _write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file(tensors, unfinished, metadata=header)
    unfinished.chmod(0o644)  # the library writes files that only their owner can read
    unfinished.replace(path)


def _load(path: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is no readable safetensors file ({error}); fetch or train it again"
        ) from error
    if header.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds {header.get('kind', 'something else than fumikura weights')}, not a {kind};"
            f" name a file that `fumikura train {kind}` wrote"
        )
    return header, tensors


def _filled(model: M, tensors: dict[str, Tensor], path: Path) -> M:
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    if wanted != {name: value.shape for name, value in tensors.items()}:
        raise CheckpointError(f"{path} does not fit the model that its own header describes; train it again")
    model.load_state_dict(
        {
            name: value.to(torch.float32) if value.is_floating_point() else value
            for name, value in tensors.items()
        }
    )
    return model.eval()


def _with_tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
