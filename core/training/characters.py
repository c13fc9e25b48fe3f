"""Train any classifier on a prepared or published data set of characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.errors import CheckpointError, UsageError
from fumikura.core.recognition.models.architectures import CLASSIFIERS, ClassifierConfig, build, name_of
from fumikura.core.recognition.models.checkpoint import load_any_classifier, save_classifier
from fumikura.core.recognition.models.loaded import resized, with_channels
from fumikura.core.training.config import keep_config
from fumikura.core.training.datasets.augment import grid_of, moved, worn
from fumikura.core.training.datasets.loading import CharacterSet, load_character_set
from fumikura.core.training.lessons import Lessons, Task, learn
from fumikura.core.training.loop import Progress
from fumikura.core.training.starting_weights import begin_with

_AT_ONCE = 512


def train_characters(
    data_path: Path,
    folder: Path,
    *,
    model: str | None,
    lessons: Lessons,
    device: str,
    progress: Progress,
    crop_side: int | None = None,
    start: Path | None = None,
) -> Path:
    """Train on the images to learn from, or go on with what was cut off in this folder.

    Args:
        model: a name of `CLASSIFIERS`; None for that of `start`, or else "resnet".
        crop_side: what images are resized to; None leaves them as they are, or as `start` had them.
        start: weights to begin with; all but the last layer, of which it keeps the labels that it knows.

    Returns:
        The weights file.

    Raises:
        DataSetError: the data set is damaged or too small.
        CheckpointError: `start` is another network, or the folder holds another training.
        UsageError: the network cannot take images of this size.
    """
    data = load_character_set(data_path, "train")
    torch.manual_seed(lessons.seed)
    config = _config(data, model, crop_side, start)
    network = _built(config)
    if start is not None:
        begin_with(network, start, labels=data.labels)
    values = {"config": asdict(cast(Any, config)), "n_images": len(data.images), "start": start}
    keep_config(
        folder, model=name_of(config), **values, **asdict(lessons), data=data_path.resolve(), device=device
    )
    is_dark = bool(data.images.mean() > 127)
    # GlyphNet reads pages, where ink is dark, and has its own eye for it.
    is_inverted = is_dark and name_of(config) != "glyph-net"
    task = _task(data, config, lessons, is_dark=is_dark, is_inverted=is_inverted)
    order = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(lessons.seed))
    learn(task, network, order, folder, lessons=lessons, device=device, progress=progress)
    path = folder / "classifier.safetensors"
    save_classifier(path, network, config, data.labels, is_inverted=is_inverted)
    return path


def _config(
    data: CharacterSet, model: str | None, crop_side: int | None, start: Path | None
) -> ClassifierConfig:
    n_classes = len(data.labels)
    if start is not None:
        begun = load_any_classifier(start).config
        if model not in (None, name_of(begun)):
            raise CheckpointError(f"{start} holds a {name_of(begun)}, not a {model}; begin with another file")
        side = crop_side or begun.crop_side
        return cast(ClassifierConfig, replace(cast(Any, begun), n_classes=n_classes, crop_side=side))
    known = CLASSIFIERS[model or "resnet"]
    # The reader cuts crops of the size that GlyphNet has unless told otherwise.
    side = crop_side or (64 if model == "glyph-net" else data.images.shape[1])
    return cast(ClassifierConfig, known.config(n_classes=n_classes, crop_side=side))


def _built(config: ClassifierConfig) -> nn.Module:
    try:
        network = build(config).eval()
        with torch.inference_mode():
            network(torch.zeros(1, config.channels, config.crop_side, config.crop_side))
    # As torch and torchvision put it, each layer in its own way.
    except (RuntimeError, AssertionError, ZeroDivisionError) as error:
        raise UsageError(
            f"a {name_of(config)} cannot take images of {config.crop_side} pixels; resize them, such as with"
            " --crop-side 64"
        ) from error
    return network


def _task(
    data: CharacterSet, config: ClassifierConfig, lessons: Lessons, *, is_dark: bool, is_inverted: bool
) -> Task:
    images = _resized(with_channels(data.images, config.channels), config.crop_side)
    targets = torch.from_numpy(data.targets)

    def batch(numbers: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        crops = images[numbers].float() / 255
        if is_inverted:
            crops = 1 - crops
        if generator is not None:
            grid = grid_of(len(crops), config.crop_side, lessons.augmentation, generator)
            # Bright ink stands on black; paper goes on as it is at the edge.
            crops = moved(crops, grid, outside="border" if is_dark else "zeros")
            if lessons.augmentation == "strong":
                crops = worn(crops, generator)
        return crops, targets[numbers]

    def losses(model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        crops, classes = batch
        loss = functional.cross_entropy(model(crops).float(), classes, label_smoothing=lessons.smoothing)
        return {"train_loss": loss}

    def review(model: nn.Module, numbers: Tensor) -> dict[str, float]:
        device = next(model.parameters()).device
        loss, n_right = 0.0, 0
        for some in torch.split(numbers, _AT_ONCE):
            crops, classes = (item.to(device) for item in batch(some, None))
            logits = model(crops).float()
            loss += functional.cross_entropy(logits, classes, reduction="sum").item()
            n_right += int((logits.argmax(dim=1) == classes).sum())
        return {"validation_loss": loss / len(numbers), "validation_accuracy": n_right / len(numbers)}

    return Task(batch, losses, review)


def _resized(images: Tensor, side: int) -> Tensor:
    """Images uint8 (N, channels, H, W) as (N, channels, S, S)."""
    if images.shape[2:] == (side, side):
        return images
    parts = [resized(some.float(), side).round().to(torch.uint8) for some in torch.split(images, _AT_ONCE)]
    return torch.cat(parts)
