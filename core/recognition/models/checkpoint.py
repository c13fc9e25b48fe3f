"""Weights files are safetensors with the model's kind, configuration and labels in the header.

Format: https://github.com/huggingface/safetensors. Nothing in a weights file is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fumikura.core.errors import CheckpointError
from fumikura.core.own_files import replacing
from fumikura.core.recognition.models.architectures import (
    CLASSIFIERS,
    SEGMENTERS,
    Architecture,
    ClassifierConfig,
    SegmenterConfig,
    name_of,
)
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.loaded import Inverted, LoadedClassifier, LoadedSegmenter
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.recognition.trigrams import ContextCounts, TrigramCounts
from fumikura.core.recognition.weights_header import read_header
from fumikura.core.vocabulary import Vocabulary

M = TypeVar("M", bound=nn.Module)
Config = TypeVar("Config")

#: What a file is called that holds a segmenter or classifier that cannot read pages: it gives a mask
#: and no centres, or is no GlyphNet.
MASKS_ONLY, CHARACTERS_ONLY = "mask segmenter", "character classifier"
_READ_PAGES = ("segmenter", "classifier", "context")


def is_weights(path: Path) -> bool:
    """Tell whether a file says of itself that it holds weights of ours."""
    return read_header(path).get("kind") in (*_READ_PAGES, MASKS_ONLY, CHARACTERS_ONLY)


def save_segmenter(
    path: Path, model: nn.Module, config: SegmenterConfig, *, history: Mapping[str, str] | None = None
) -> None:
    """Save a segmenter.

    Args:
        history: what the file says beside that of how it came about.
    """
    kind = "segmenter" if isinstance(config, UNetConfig) and config.out_channels == 4 else MASKS_ONLY
    _save(path, model, {**(history or {}), **_header(kind, config)})


def save_classifier(
    path: Path,
    model: nn.Module,
    config: ClassifierConfig,
    labels: Sequence[str],
    *,
    is_inverted: bool = False,
    history: Mapping[str, str] | None = None,
) -> None:
    """Save a classifier and its labels.

    Args:
        is_inverted: it learnt from images turned over, so that their dark ink was bright.
        history: what the file says beside that of how it came about.
    """
    kind = "classifier" if isinstance(config, GlyphNetConfig) and not is_inverted else CHARACTERS_ONLY
    header = {**(history or {}), **_header(kind, config), "labels": json.dumps(list(labels))}
    _save(path, model, header | ({"is_inverted": "yes"} if is_inverted else {}))


def save_context(path: Path, counted: ContextCounts) -> None:
    """Write the counts that a context model is made of, those of each corpus as tensors of their own."""
    tensors = {}
    for number, corpus in enumerate(counted.corpora):
        tensors[f"trigrams.{number}"] = torch.from_numpy(corpus.trigrams)
        tensors[f"counts.{number}"] = torch.from_numpy(corpus.counts)
    header = {"labels": json.dumps(counted.characters), "shares": json.dumps(counted.shares)}
    _write(path, tensors, {"kind": "context", **header})


def load_segmenter(path: Path) -> tuple[UNet, UNetConfig]:
    """Load a U-Net that reads pages, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    header, tensors = _load(path, "segmenter")
    config = _config(UNetConfig, header, path)
    return _filled(UNet(config), tensors, path), config


def load_classifier(path: Path) -> tuple[GlyphNet, GlyphNetConfig, Vocabulary]:
    """Load a classifier that reads pages, in evaluation mode, and its labels.

    Raises:
        CheckpointError: the file is missing, damaged, holds something else, or its labels do
            not fit its classes.
    """
    header, tensors = _load(path, "classifier")
    config = _config(GlyphNetConfig, header, path)
    vocabulary = Vocabulary(_labels(header, config, path))
    return _filled(GlyphNet(config), tensors, path), config, vocabulary


def load_any_segmenter(path: Path) -> LoadedSegmenter:
    """Load whatever segmenter the file holds, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    header, tensors = _load(path, "segmenter", MASKS_ONLY)
    architecture = _architecture(header, SEGMENTERS, "unet", path)
    config = _config(architecture.config, header, path)
    return LoadedSegmenter(_filled(architecture.build(config), tensors, path), config)


def load_any_classifier(path: Path) -> LoadedClassifier:
    """Load whatever classifier the file holds, in evaluation mode, and its labels.

    Raises:
        CheckpointError: as of `load_classifier`.
    """
    header, tensors = _load(path, "classifier", CHARACTERS_ONLY)
    architecture = _architecture(header, CLASSIFIERS, "glyph-net", path)
    config = _config(architecture.config, header, path)
    labels = _labels(header, config, path)
    model = _filled(architecture.build(config), tensors, path)
    return LoadedClassifier(Inverted(model).eval() if "is_inverted" in header else model, config, labels)


def load_context(path: Path) -> ContextCounts:
    """Load the counts that a context model is made of.

    Raises:
        CheckpointError: the file is missing, damaged, holds something else, or its counts do not
            fit its labels.
    """
    header, tensors = _load(path, "context")
    characters = tuple(json.loads(header["labels"]))
    shares = tuple(json.loads(header.get("shares", "[1.0]")))
    # Before there were several corpora, the tensors of the one had no number.
    endings = [f".{number}" for number in range(len(shares))] if "shares" in header else [""]
    try:
        corpora = tuple(
            TrigramCounts(tensors[f"trigrams{ending}"].numpy(), tensors[f"counts{ending}"].numpy())
            for ending in endings
        )
        is_sound = all(_is_sound(corpus, len(characters)) for corpus in corpora)
    except (KeyError, ValueError) as error:  # a tensor is missing or empty
        raise CheckpointError(f"{path} lacks the counts of a context; train it again") from error
    if not is_sound:
        raise CheckpointError(f"{path} has counts that do not fit its own labels; train it again")
    return ContextCounts(characters, corpora, shares)


def _is_sound(counted: TrigramCounts, n_characters: int) -> bool:
    return bool(
        counted.trigrams.shape == (len(counted.counts), 3)
        and counted.trigrams.dtype == counted.counts.dtype == np.uint16
        and counted.trigrams.max() <= n_characters
        and counted.counts.min() > 0
    )


def _header(kind: str, config: SegmenterConfig | ClassifierConfig) -> dict[str, str]:
    # Every configuration is a dataclass, which the protocols cannot say.
    values = asdict(cast(Any, config))
    return {"kind": kind, "architecture": name_of(config), "config": json.dumps(values)}


def _architecture(
    header: Mapping[str, str], known: Mapping[str, Architecture], default: str, path: Path
) -> Architecture:
    # Files from before there was more than one network of a kind do not name theirs.
    name = header.get("architecture", default)
    if name not in known:
        raise CheckpointError(
            f"{path} holds the network {name!r}, which this fumikura does not know; update fumikura"
        )
    return known[name]


def _labels(header: Mapping[str, str], config: ClassifierConfig, path: Path) -> tuple[str, ...]:
    labels = tuple(json.loads(header["labels"]))
    if len(labels) != config.n_classes:
        raise CheckpointError(
            f"{path} has {config.n_classes} classes but {len(labels)} labels; train it again"
        )
    return labels


def _save(path: Path, model: nn.Module, header: dict[str, str]) -> None:
    # Half precision halves the file and changes no label; vectors (normalisation) stay exact.
    tensors = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in model.state_dict().items()
    }
    _write(path, tensors, header)


def _write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, is_weights) as unfinished:
            save_file(tensors, unfinished, metadata=header)
            unfinished.chmod(0o644)  # the library writes files that only their owner can read
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}); free some space, or name another folder"
        ) from error


def _load(path: Path, *kinds: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is no readable safetensors file ({error}); fetch or train it again"
        ) from error
    if header.get("kind") not in kinds:
        if "kind" not in header:
            raise CheckpointError(
                f"{path} holds something else than fumikura weights;"
                f" name a file that `fumikura train {kinds[0]}` wrote"
            )
        found = header["kind"]
        if len(kinds) > 1:
            raise CheckpointError(
                f"{path} holds {found}, not a {kinds[0]}; name a file that `fumikura train {kinds[0]}` wrote"
            )
        raise CheckpointError(
            f"{path} holds {found}, not a {kinds[0]};"
            f" name a file that `fumikura train {kinds[0]}` wrote for pages"
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


def _config(make: Callable[..., Config], header: Mapping[str, str], path: Path) -> Config:
    try:
        values = dict(json.loads(header["config"]))
        return make(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is configured as this fumikura cannot read it ({error}); update fumikura"
        ) from error
