"""Train the U-Net that finds characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from fumikura.core.recognition.models.checkpoint import load_segmenter, save_segmenter
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.training.config import digest_of, file_digest, keep_config
from fumikura.core.training.datasets.training_pages import VARIED, RandomPatches, TrainingPage, Variety
from fumikura.core.training.loop import Precision, Progress, Run, fit

#: The network that ships.
SHIPPED = UNetConfig(
    widths=(32, 48, 96, 160), bottleneck=256, fold=2, mask_threshold=0.7, peak_threshold=0.27
)


@dataclass(frozen=True, slots=True)
class SegmenterTraining:
    """How the segmenter is trained.

    Attributes:
        patch_side: pixels of a training patch; a multiple of the network's stride.
        steps: batches seen in all.
        learning_rate: the highest; it rises at first and falls to nothing (one cycle).
    """

    patch_side: int = 320
    batch_size: int = 8
    steps: int = 3000
    learning_rate: float = 3e-3
    seed: int = 1
    precision: Precision = "fp32"
    variety: Variety = VARIED


def train_segmenter(
    pages: Sequence[TrainingPage],
    folder: Path,
    *,
    model_config: UNetConfig,
    training: SegmenterTraining,
    device: str,
    progress: Progress,
    start: Path | None = None,
) -> Path:
    """Train on some pages, or go on with the training that was cut off in this folder.

    Args:
        start: weights to begin with; their configuration replaces `model_config`.

    Returns:
        The weights file.

    Raises:
        CheckpointError: `start` is no segmenter that reads pages, or the folder holds another training.
    """
    torch.manual_seed(training.seed)
    if start is not None:
        model, model_config = load_segmenter(start)
    else:
        model = UNet(model_config)
        with torch.no_grad():
            # Centres are one pixel in thousands: without this the first steps only learn to say no.
            cast(Tensor, model.head.bias).view(model_config.out_channels, -1)[1] = -4.0
    names = [page.name for page in pages]
    boxes = digest_of(*(page.boxes.tobytes() for page in pages))
    keep_config(folder, pages=names, boxes=boxes, start=file_digest(start), device=device, **asdict(training))
    patches = RandomPatches(
        pages,
        side=training.patch_side,
        n_patches=training.steps * training.batch_size,
        seed=training.seed,
        variety=training.variety,
    )
    fit(
        Run(
            folder,
            model,
            training.steps,
            training.learning_rate,
            device,
            precision=training.precision,
        ),
        lambda first: DataLoader(
            torch.utils.data.Subset(patches, range(first * training.batch_size, len(patches))),
            batch_size=training.batch_size,
        ),
        _loss,
        progress=progress,
    )
    path = folder / "segmenter.safetensors"
    save_segmenter(path, model, model_config)
    return path


def _loss(model: torch.nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
    """Losses by name; their sum is what training lowers."""
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
    """CenterNet's focal loss (arXiv:1904.07850, equation 1), for each centre in the batch.

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
