"""This module begins a training with weights that another one left, and keeps a part of what they know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn
from torch.nn import functional

from fumikura.core.errors import CheckpointError
from fumikura.core.recognition.models.checkpoint import load_any_classifier, load_any_segmenter
from fumikura.core.recognition.models.glyph_net import GlyphNet
from fumikura.core.recognition.models.loaded import Inverted

_OTHER = "{} is another network than the one that is trained; begin without it"


def begin_with(model: nn.Module, path: Path, *, labels: Sequence[str] | None = None) -> None:
    """Copy all weights; a last layer of another size begins anew, but for the labels that both know.

    What a larger network has beside those begins anew too.

    Args:
        labels: of a classifier, by class; None for a segmenter.

    Raises:
        CheckpointError: the file holds no such network, or one that differs before its last layer.
    """
    known: dict[str, int] = {}
    if labels is None:
        other = load_any_segmenter(path).model
    else:
        loaded = load_any_classifier(path)
        other = loaded.model.model if isinstance(loaded.model, Inverted) else loaded.model
        known = {label: number for number, label in enumerate(loaded.labels)}
    old, new = other.state_dict(), model.state_dict()
    last = list(new)[-2:]  # weights and bias
    if not old.keys() <= new.keys():
        raise CheckpointError(_OTHER.format(path))
    for name, weights in old.items():
        if name in last and labels is not None:
            for number, label in enumerate(labels):
                if label in known:
                    new[name][number] = weights[known[label]]
        elif weights.shape == new[name].shape:
            new[name] = weights
        elif isinstance(model, GlyphNet) and name not in last and weights.ndim == 2:
            # It was not told shapes: these say nothing at first.
            new[name] = functional.pad(weights, (0, new[name].shape[1] - weights.shape[1]))
        elif name not in last:
            raise CheckpointError(_OTHER.format(path))
    model.load_state_dict(new)


def keep_part(model: nn.Module, path: Path, share: float, *, labels: Sequence[str] | None = None) -> None:
    """Take weights between those that a training ended with and those that it began with.

    The mean of both often does better on what neither has seen (WiSE-FT, Wortsman et al. 2022,
    arXiv:2109.01903). What the start does not know remains as it was learnt.

    Args:
        model: trained, and changed in place.
        path: what it began with (`begin_with`, the same labels).
        share: of the start, in [0, 1].
    """
    learnt = {name: weights.clone() for name, weights in model.state_dict().items()}
    begin_with(model, path, labels=labels)
    model.load_state_dict(
        {
            name: learnt[name].lerp(begun, share) if begun.is_floating_point() else begun
            for name, begun in model.state_dict().items()
        }
    )
