"""This module teaches networks to find characters, from boxed pages or from data sets of patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.errors import UsageError
from fumikura.core.recognition.models.architectures import SegmenterConfig, build
from fumikura.core.recognition.models.checkpoint import load_segmenter
from fumikura.core.recognition.models.encoder_decoder import EncoderDecoderConfig
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.training.datasets.augmentation import Augmentation, moved, sampling_grid
from fumikura.core.training.datasets.loading import PatchSet, load_patch_set
from fumikura.core.training.datasets.training_pages import VARIED, RandomPatches, TrainingPage, Variety
from fumikura.core.training.lessons import Batch, Lessons, Network, Source, images_in_epochs
from fumikura.core.training.run_folder import digest_of

#: The network that ships.
SHIPPED = UNetConfig(
    widths=(32, 48, 96, 160), bottleneck=256, fold=2, mask_threshold=0.7, peak_threshold=0.27
)
#: How it is trained, unless options say otherwise.
FOR_PAGES = Lessons(batch_size=8, learning_rate=3e-3)
#: By the names of `--model`: the first report's two, and the one that ships, for a mask alone.
MODELS: dict[str, SegmenterConfig] = {
    "encoder-decoder": EncoderDecoderConfig(),
    "unet": UNetConfig(widths=(64, 128, 256), bottleneck=512, out_channels=1, is_normalised=False),
    "shipped": replace(SHIPPED, out_channels=1, mask_threshold=0.5),
}
_AT_ONCE = 16


def boxed_pages(
    pages: Sequence[TrainingPage],
    lessons: Lessons,
    start: Path | None,
    *,
    config: UNetConfig = SHIPPED,
    patch_side: int = 320,
    variety: Variety = VARIED,
) -> tuple[Network, Source]:
    """Teach a U-Net to read pages, by random patches of pages with boxes.

    Args:
        config: of the network, unless `start` has another.
        patch_side: pixels of a patch; a multiple of the network's stride.
    """
    if start is not None:
        _, config = load_segmenter(start)
    model = UNet(config)
    with torch.no_grad():
        # Centres are one pixel in thousands: without this the first steps only learn to say no.
        cast(Tensor, model.head.bias).view(config.out_channels, -1)[1] = -4.0
    size = lessons.batch_size
    facts = {
        "pages": [page.name for page in pages],
        "boxes": digest_of(*(page.boxes.tobytes() for page in pages)),
        "patch_side": patch_side,
        "variety": asdict(variety),
    }
    patches = RandomPatches(pages, side=patch_side, seed=lessons.seed, variety=variety)

    def batch_of(step: int) -> Sequence[Tensor]:
        some = [patches[number] for number in range(step * size, (step + 1) * size)]
        return [torch.stack(items) for items in zip(*some, strict=True)]

    learnt = frozenset(page.digest for page in pages if page.digest)
    source = Source(batch_of, _page_losses, lessons.steps, facts)
    return Network(model, config, learnt_pages=learnt), source


def patch_images(path: Path, lessons: Lessons, _start: Path | None, *, model: str) -> tuple[Network, Source]:
    """Teach any network to find the mask of the patches, or whole pages, of a prepared data set.

    Args:
        model: a name of `MODELS`.
    """
    data = load_patch_set(path, "train")
    config, side = MODELS[model], data.images.shape[1]
    if side % config.stride:
        raise UsageError(
            f"{model} takes patches of a multiple of {config.stride} pixels, not of {side}; prepare such ones"
        )
    network, batch = Network(build(config), config), _batch_maker(data, lessons.augmentation)

    def loss_of(model: nn.Module, some: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        patches, wanted = some
        logits = model(patches)[:, :1].float()
        weight = torch.tensor(lessons.pos_weight, device=logits.device)
        return functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weight), logits

    source = images_in_epochs(
        # Patches overlap, and stand page by page: kept from the end, they are nearly all unseen.
        torch.arange(len(data.images)),
        batch,
        lambda model, some: {"train_loss": loss_of(model, some)[0]},
        lambda model, numbers: _score(model, batch, numbers, loss_of, threshold=config.mask_threshold),
        lessons=lessons,
        facts={"model": model, "config": asdict(network.config), "data": path.resolve()},
    )
    return network, source


def _batch_maker(data: PatchSet, augmentation: Augmentation) -> Batch:
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2)
    masks = torch.from_numpy(data.masks)

    def batch(numbers: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        patches, wanted = images[numbers].float() / 255, masks[numbers, None].float()
        if generator is not None:
            grid = sampling_grid(len(patches), images.shape[3], augmentation, generator)
            patches = moved(patches, grid, outside="reflection")
            wanted = moved(wanted, grid, outside="reflection", mode="nearest")
            if augmentation == "strong":
                light = torch.empty(len(patches), 3, 1, 1).uniform_(0.8, 1.2, generator=generator)
                patches = (patches * light).clamp(max=1)
        return patches, wanted

    return batch


def _score(
    model: nn.Module,
    batch: Batch,
    numbers: Tensor,
    loss_of: Callable[[nn.Module, Sequence[Tensor]], tuple[Tensor, Tensor]],
    *,
    threshold: float,
) -> dict[str, float]:
    device = next(model.parameters()).device
    loss, n_both, n_either = 0.0, 0.0, 0.0
    for some in torch.split(numbers, _AT_ONCE):
        patches, wanted = (item.to(device) for item in batch(some, None))
        mean, logits = loss_of(model, (patches, wanted))
        found = logits.sigmoid() > threshold
        loss += mean.item() * len(some)
        n_both += float((found * wanted).sum())
        n_either += float(found.sum() + wanted.sum())
    dice = 2 * n_both / n_either if n_either else 1.0
    return {"validation_loss": loss / len(numbers), "validation_dice": dice}


def _page_losses(model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the losses of mask, centres and sizes; their sum is what training lowers."""
    patches, targets, weights = batch
    maps = model(patches).float()
    mask, centre, sizes = targets[:, 0], targets[:, 1], targets[:, 2:4]
    near_centre = targets[:, 4:5]
    cross_entropy = functional.binary_cross_entropy_with_logits(maps[:, 0], mask, weight=weights)
    probability = maps[:, 0].sigmoid() * weights
    overlap = 2 * (probability * mask).sum() / (probability.sum() + (mask * weights).sum() + 1)
    distance = ((maps[:, 2:4] - sizes).abs() * near_centre).sum() / (near_centre.sum() + 1)
    return {
        "mask": cross_entropy + 0.5 * (1 - overlap),
        "centre": focal_loss(maps[:, 1], centre, weights),
        "size": 0.5 * distance,
    }


def focal_loss(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Compute CenterNet's focal loss (arXiv:1904.07850, equation 1), for each centre in the batch.

    Args:
        logits: (B, P, P).
        target: (B, P, P) in [0, 1], exactly 1 at centres.
        weights: (B, P, P); 0 where nothing is known.
    """
    probability = logits.sigmoid()
    is_centre = target == 1
    found = functional.logsigmoid(logits) * (1 - probability) ** 2
    rejected = functional.logsigmoid(-logits) * probability**2 * (1 - target) ** 4
    loss = -torch.where(is_centre, found, rejected) * weights
    return loss.sum() / is_centre.sum().clamp(min=1)
