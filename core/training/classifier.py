"""This module teaches networks to name characters, from mixtures of crops or from data sets of images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.errors import CheckpointError, UsageError
from fumikura.core.recognition.models.architectures import CLASSIFIERS, ClassifierConfig, build, name_of
from fumikura.core.recognition.models.checkpoint import load_any_classifier
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.loaded import resized, with_channels
from fumikura.core.training.datasets.augmentation import Augmentation, moved, sampling_grid, worn
from fumikura.core.training.datasets.crop_mixture import Part, draw_batch, show
from fumikura.core.training.datasets.loading import CharacterSet, load_character_set
from fumikura.core.training.lessons import (
    Batch,
    Lessons,
    Losses,
    Network,
    Source,
    generator_of,
    images_in_epochs,
)
from fumikura.core.training.run_folder import digest_of

#: How what reads pages is trained, unless options say otherwise; drawn forms and real ones differ, so
#: labels are smoothed.
FOR_PAGES = Lessons(batch_size=192, learning_rate=2e-3, smoothing=0.05, averaged=0.998)
#: How much a box that is off counts against a label that is wrong.
_BOX_WEIGHT = 2.0
_AT_ONCE = 512


def mixed_crops(
    parts: Sequence[Part],
    labels: Sequence[str],
    lessons: Lessons,
    _start: Path | None,
    *,
    config: GlyphNetConfig | None = None,
    learnt_pages: Collection[str] = (),
) -> tuple[Network, Source]:
    """Teach a GlyphNet to read pages, by crops that are drawn by lot from a mixture.

    Args:
        learnt_pages: digests of the pages that the crops were cut from.
        config: of the network; None for the best that is known.
    """
    config = config or GlyphNetConfig(n_classes=len(labels), sees_shapes=True, finds_boxes=True)
    tensors = [tensor for part in parts for tensor in (part.bank.images, part.bank.numbers)]
    facts = {"labels": labels, "images": [digest_of(tensor.numpy().data) for tensor in tensors]}

    def batch_of(step: int) -> Sequence[Tensor]:
        return draw_batch(parts, lessons.batch_size, generator_of(lessons.seed, step))

    def shown(step: int, drawn: Sequence[Tensor]) -> Sequence[Tensor]:
        # Where the network learns: on a device that is faster than a processor it would starve else.
        seen = show(parts, drawn, generator_of(lessons.seed, step, drawn[-1].device))
        return seen.crops, seen.shapes, seen.corners, drawn[-1]

    source = Source(batch_of, partial(_page_losses, lessons.smoothing), lessons.steps, facts, shown=shown)
    return Network(GlyphNet(config), config, labels, learnt_pages=frozenset(learnt_pages)), source


def _page_losses(smoothing: float, model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
    crops, shapes, corners, classes = batch
    logits, found = cast(GlyphNet, model).look(crops, shapes)
    losses = {"label": functional.cross_entropy(logits.float(), classes, label_smoothing=smoothing)}
    if found.shape[1]:
        losses["box"] = _BOX_WEIGHT * functional.smooth_l1_loss(found.float(), corners, beta=0.1)
    return losses


def character_images(
    path: Path, lessons: Lessons, start: Path | None, *, model: str | None, crop_side: int | None = None
) -> tuple[Network, Source]:
    """Teach any network to name the characters of a prepared or published data set.

    Args:
        model: a name of `CLASSIFIERS`; None for that of `start`, or else "resnet".
        crop_side: what images are resized to; None leaves them as they are, or as `start` had them.
    """
    data = load_character_set(path, "train")
    n_images, n_classes = len(data.images), len(data.labels)
    if start is None:
        config = _new_config(model or "resnet", n_classes, crop_side, data.images.shape[1])
    else:
        config = _begun_config(start, model, n_classes, crop_side)
    is_dark = bool(data.images.mean() > 127)
    # GlyphNet reads pages, where ink is dark, and has its own eye for it.
    network = Network(_built(config), config, data.labels, is_dark and name_of(config) != "glyph-net")
    batch = _batch_maker(data, network, lessons.augmentation, is_dark=is_dark)
    source = images_in_epochs(
        torch.randperm(n_images, generator=torch.Generator().manual_seed(lessons.seed)),
        batch,
        _label_loss("train_loss", lessons.smoothing),
        lambda model, numbers: _score(model, batch, numbers),
        lessons=lessons,
        facts={"model": name_of(config), "config": asdict(network.config), "data": path.resolve()},
    )
    return network, source


def _label_loss(name: str, smoothing: float) -> Losses:
    def losses(model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        crops, classes = batch
        return {name: functional.cross_entropy(model(crops).float(), classes, label_smoothing=smoothing)}

    return losses


def _new_config(model: str, n_classes: int, crop_side: int | None, side: int) -> ClassifierConfig:
    # The reader cuts crops of the size that GlyphNet has unless told otherwise.
    crop_side = crop_side or (64 if model == "glyph-net" else side)
    return cast(ClassifierConfig, CLASSIFIERS[model].config(n_classes=n_classes, crop_side=crop_side))


def _begun_config(start: Path, model: str | None, n_classes: int, crop_side: int | None) -> ClassifierConfig:
    begun = load_any_classifier(start).config
    if model not in (None, name_of(begun)):
        raise CheckpointError(f"{start} holds a {name_of(begun)}, not a {model}; begin with another file")
    crop_side = crop_side or begun.crop_side
    return cast(ClassifierConfig, replace(cast(Any, begun), n_classes=n_classes, crop_side=crop_side))


def _built(config: ClassifierConfig) -> nn.Module:
    try:
        model = build(config).eval()
        with torch.inference_mode():
            model(torch.zeros(1, config.channels, config.crop_side, config.crop_side))
    # As torch and torchvision put it, each layer in its own way.
    except (RuntimeError, AssertionError, ZeroDivisionError) as error:
        raise UsageError(
            f"a {name_of(config)} cannot take images of {config.crop_side} pixels; resize them, such as with"
            " --crop-side 64"
        ) from error
    return model


def _batch_maker(data: CharacterSet, network: Network, augmentation: Augmentation, *, is_dark: bool) -> Batch:
    side = network.config.crop_side
    images = _resized(with_channels(data.images, network.config.channels), side)
    targets = torch.from_numpy(data.targets)
    # Bright ink stands on black; paper goes on as it is at the edge.
    outside = "border" if is_dark else "zeros"

    def batch(numbers: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        crops = images[numbers].float() / 255
        if network.is_inverted:
            crops = 1 - crops
        if generator is not None:
            grid = sampling_grid(len(crops), side, augmentation, generator)
            crops = moved(crops, grid, outside=outside)
            if augmentation == "strong":
                crops = worn(crops, generator)
        return crops, targets[numbers]

    return batch


def _score(model: nn.Module, batch: Batch, numbers: Tensor) -> dict[str, float]:
    device = next(model.parameters()).device
    loss, n_right = 0.0, 0
    for some in torch.split(numbers, _AT_ONCE):
        crops, classes = (item.to(device) for item in batch(some, None))
        logits = model(crops).float()
        loss += functional.cross_entropy(logits, classes, reduction="sum").item()
        n_right += int((logits.argmax(dim=1) == classes).sum())
    return {"validation_loss": loss / len(numbers), "validation_accuracy": n_right / len(numbers)}


def _resized(images: Tensor, side: int) -> Tensor:
    """Resize images uint8 (N, channels, H, W) to (N, channels, S, S)."""
    if images.shape[2:] == (side, side):
        return images
    parts = [resized(some.float(), side).round().to(torch.uint8) for some in torch.split(images, _AT_ONCE)]
    return torch.cat(parts)
