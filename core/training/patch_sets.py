"""Train any segmenter on a prepared data set of patches, or of whole pages, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.errors import UsageError
from fumikura.core.recognition.models.architectures import SegmenterConfig, build
from fumikura.core.recognition.models.checkpoint import save_segmenter
from fumikura.core.recognition.models.encoder_decoder import EncoderDecoderConfig
from fumikura.core.recognition.models.unet import UNetConfig
from fumikura.core.training.config import keep_config
from fumikura.core.training.datasets.augment import grid_of, moved
from fumikura.core.training.datasets.loading import PatchSet, load_patch_set
from fumikura.core.training.lessons import Lessons, Task, learn
from fumikura.core.training.loop import Progress
from fumikura.core.training.segmenter import SHIPPED
from fumikura.core.training.starting_weights import begin_with

#: By the names of `--model`: the first report's two, and the one that ships, for a mask alone.
MODELS: dict[str, SegmenterConfig] = {
    "encoder-decoder": EncoderDecoderConfig(),
    "unet": UNetConfig(widths=(64, 128, 256), bottleneck=512, out_channels=1, is_normalised=False),
    "shipped": replace(SHIPPED, out_channels=1, mask_threshold=0.5),
}
_AT_ONCE = 16


def train_patches(
    data_path: Path,
    folder: Path,
    *,
    model: str,
    lessons: Lessons,
    device: str,
    progress: Progress,
    start: Path | None = None,
) -> Path:
    """Train on the patches to learn from, or go on with what was cut off in this folder.

    Args:
        model: a name of `MODELS`.
        start: weights of the same network to begin with; a last layer of another size begins anew.

    Returns:
        The weights file.

    Raises:
        DataSetError: the data set is damaged or too small.
        CheckpointError: `start` is another network, or the folder holds another training.
        UsageError: the network cannot take patches of this size.
    """
    data = load_patch_set(data_path, "train")
    config, side = MODELS[model], data.images.shape[1]
    if side % config.stride:
        raise UsageError(
            f"{model} takes patches of a multiple of {config.stride} pixels, not of {side}; prepare such ones"
        )
    torch.manual_seed(lessons.seed)
    network = build(config)
    if start is not None:
        begin_with(network, start)
    values = {"config": asdict(cast(Any, config)), "n_images": len(data.images), "start": start}
    keep_config(folder, model=model, **values, **asdict(lessons), data=data_path.resolve(), device=device)
    # Patches overlap, and stand page by page: kept from the end, they are nearly all unseen.
    order = torch.arange(len(data.images))
    task = _task(data, config, lessons)
    learn(task, network, order, folder, lessons=lessons, device=device, progress=progress)
    path = folder / "segmenter.safetensors"
    save_segmenter(path, network, config)
    return path


def _task(data: PatchSet, config: SegmenterConfig, lessons: Lessons) -> Task:
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2)
    masks = torch.from_numpy(data.masks)
    pos_weight = torch.tensor(lessons.pos_weight)

    def batch(numbers: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        patches, wanted = images[numbers].float() / 255, masks[numbers, None].float()
        if generator is not None:
            grid = grid_of(len(patches), images.shape[3], lessons.augmentation, generator)
            patches = moved(patches, grid, outside="reflection")
            wanted = moved(wanted, grid, outside="reflection", mode="nearest")
            if lessons.augmentation == "strong":
                light = torch.empty(len(patches), 3, 1, 1).uniform_(0.8, 1.2, generator=generator)
                patches = (patches * light).clamp(max=1)
        return patches, wanted

    def loss_of(model: nn.Module, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        patches, wanted = batch
        logits = model(patches)[:, :1].float()
        weight = pos_weight.to(logits.device)
        return functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weight), logits

    def review(model: nn.Module, numbers: Tensor) -> dict[str, float]:
        device = next(model.parameters()).device
        loss, n_both, n_either = 0.0, 0.0, 0.0
        for some in torch.split(numbers, _AT_ONCE):
            patches, wanted = (item.to(device) for item in batch(some, None))
            mean, logits = loss_of(model, (patches, wanted))
            found = logits.sigmoid() > config.mask_threshold
            loss += mean.item() * len(some)
            n_both += float((found * wanted).sum())
            n_either += float(found.sum() + wanted.sum())
        dice = 2 * n_both / n_either if n_either else 1.0
        return {"validation_loss": loss / len(numbers), "validation_dice": dice}

    return Task(batch, lambda model, batch: {"train_loss": loss_of(model, batch)[0]}, review)
