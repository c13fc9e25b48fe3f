"""Show each prepared image a little differently every time; masks stay in step with their patches."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from fumikura.core.training.datasets.distort import Strength, stroke_width, warp_grid

Augmentation = Literal["none", "rotation", "strong"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

#: The second report's: as far as this to either side, evenly.
ROTATION_DEGREES = 10.0
_STRONG = Strength(rotation=0.13, scale=0.11, shift=0.10, elastic=0.06, stroke=0.5, neighbours=0.0)
#: Side of the square that a strongly changed image lacks, as a share of its side (cutout, DeVries and
#: Taylor 2017, arXiv:1708.04552).
_HOLE = 0.33


def grid_of(n: int, side: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor | None:
    """Where each pixel of n images comes from, (B, S, S, 2) in [-1, 1]; None if nothing moves."""
    if augmentation == "none":
        return None
    if augmentation == "strong":
        return warp_grid(n, _STRONG, generator, side=side, zoom=1.0)
    angle = torch.empty(n).uniform_(-1, 1, generator=generator) * math.radians(ROTATION_DEGREES)
    cosine, sine, still = angle.cos(), angle.sin(), torch.zeros(n)
    rows = [torch.stack([cosine, -sine, still], dim=1), torch.stack([sine, cosine, still], dim=1)]
    return functional.affine_grid(torch.stack(rows, dim=1), [n, 1, side, side], align_corners=False)


def moved(images: Tensor, grid: Tensor | None, *, outside: str, mode: str = "bilinear") -> Tensor:
    """Images (B, channels, S, S) of float, each pixel fetched from where the grid says.

    Args:
        outside: what lies beyond the edge: "zeros", "border" or "reflection".
    """
    if grid is None:
        return images
    return functional.grid_sample(images, grid, mode=mode, padding_mode=outside, align_corners=False)


def worn(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Crops (B, channels, S, S) of bright ink as another brush and paper have them: strokes thicker or
    thinner, and a square of each lost."""
    n, _, side, _ = crops.shape
    half = _HOLE * side / 2
    centre = torch.rand(n, 2, 1, generator=generator) * side
    is_near = (torch.arange(side) + 0.5 - centre).abs() < half  # (B, 2, S)
    hole = is_near[:, 0, :, None] & is_near[:, 1, None, :]
    written = stroke_width(crops, _STRONG.stroke, generator)
    return torch.where(hole[:, None], crops.mean(dim=(1, 2, 3), keepdim=True), written)
