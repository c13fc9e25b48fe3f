"""This module scores how well a segmenter finds the ink of prepared patches or pages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.errors import DataSetError
from fumikura.core.page import Scores
from fumikura.core.recognition.models.inference import Batches
from fumikura.core.recognition.models.loaded import LoadedSegmenter
from fumikura.core.scoring.metrics import count_pixels, pool
from fumikura.core.training.datasets.loading import PatchSet

_PATCHES_AT_ONCE = 64


def score_patches(
    segmenter: LoadedSegmenter, patches: PatchSet, *, device: str, threshold: float = 0.5
) -> dict[str, float | None]:
    """Compute the six scores of masks, from pixel counts pooled over all patches.

    Where patches overlap, a pixel counts in each of them, as in the report.

    Args:
        threshold: a pixel is ink above this probability.

    Raises:
        DataSetError: there are no patches.
    """
    if not len(patches.images):
        raise DataSetError("the data set has no test patches; prepare it with books to test on")
    batches = Batches(segmenter.model, device=device, precision="fp32", batch_size=_PATCHES_AT_ONCE)
    pages: list[Scores] = []
    for first in range(0, len(patches.images), _PATCHES_AT_ONCE):
        some = slice(first, first + _PATCHES_AT_ONCE)
        pixels = torch.from_numpy(patches.images[some]).permute(0, 3, 1, 2).float() / 255
        masks = batches(pixels, lambda model, batch: _masks(model, batch, segmenter.config.stride, threshold))
        pages.append(count_pixels(masks.cpu().numpy(), patches.masks[some]))
    pooled = pool(pages)
    assert pooled is not None
    return {name: pooled[name] for name in ("accuracy", "precision", "recall", "f1", "dice", "iou")}


def _masks(model: nn.Module, pixels: Tensor, stride: int, threshold: float) -> Tensor:
    """Find masks, bool (B, H, W), in (B, 3, H, W), whose sides need not be multiples of the stride."""
    height, width = pixels.shape[2:]
    missing = (0, -width % stride, 0, -height % stride)
    logits: Tensor = model(functional.pad(pixels, missing, mode="replicate"))
    return logits[:, 0, :height, :width].float().sigmoid() > threshold
