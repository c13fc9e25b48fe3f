"""Distort character images as hand, block, paper and scanner do.

Elastic distortion follows Simard et al. 2003 (doi:10.1109/ICDAR.2003.1227801).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from fumikura.core.training.datasets.crop_bank import BANK_SIDE, CROP_SIDE


@dataclass(frozen=True, slots=True)
class Strength:
    """How hard images are distorted.

    Attributes:
        rotation: standard deviation, in radians.
        scale: standard deviation of the logarithm of each side's scale.
        shift: standard deviation, as a share of the crop's half side.
        elastic: standard deviation of the displacement, likewise.
        stroke: how far strokes are thickened or thinned, from 0 to 1.
        neighbours: probability that ink of another character reaches in, above and below each.
    """

    rotation: float
    scale: float
    shift: float
    elastic: float
    stroke: float
    neighbours: float


#: Crops of real pages bring their own variety and their own neighbours; people's boxes are exact, and
#: those that the segmenter finds in an unseen book are off by as much as this.
FOR_CROPS = Strength(rotation=0.10, scale=0.16, shift=0.14, elastic=0.05, stroke=0.7, neighbours=0.0)
#: What others cut out came without its surroundings.
FOR_CUT_OUT = replace(FOR_CROPS, neighbours=0.5)
#: Glyphs are too regular: a font has one form where hands have thousands.
FOR_GLYPHS = Strength(rotation=0.14, scale=0.18, shift=0.12, elastic=0.07, stroke=1.0, neighbours=0.6)


def distort(darkness: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Crops as a camera would see them.

    Args:
        darkness: (B, 1, 96, 96) in [0, 1].

    Returns:
        (B, 1, 64, 64) brightness in [0, 1].
    """
    ink = stroke_width(darkness, strength.stroke, generator)
    grid = warp_grid(len(ink), strength, generator)
    drawn = functional.grid_sample(ink, grid, align_corners=False)  # (B, 1, 64, 64)
    if strength.neighbours:
        others = ink[torch.randperm(len(ink), generator=generator)]
        for direction in (-1.0, 1.0):
            drawn = torch.maximum(drawn, _neighbour(others, grid, direction, strength.neighbours, generator))
    return _on_paper(drawn, generator)


def warp_grid(
    n: int,
    strength: Strength,
    generator: torch.Generator,
    *,
    side: int = CROP_SIDE,
    zoom: float = CROP_SIDE / BANK_SIDE,
) -> Tensor:
    """Where each pixel of the crop comes from: (B, S, S, 2) in [-1, 1] of the image that it is cut from.

    Args:
        side: S.
        zoom: side of the crop in sides of that image.
    """
    angle = torch.randn(n, generator=generator) * strength.rotation
    shear = torch.randn(n, generator=generator) * strength.rotation
    scale = (torch.randn(n, 2, generator=generator) * strength.scale).exp() * zoom
    cosine, sine = angle.cos(), angle.sin()
    affine = torch.stack(
        [
            torch.stack([cosine * scale[:, 0], (shear - sine) * scale[:, 1]], dim=1),
            torch.stack([sine * scale[:, 0], cosine * scale[:, 1]], dim=1),
        ],
        dim=1,
    )
    shift = torch.randn(n, 2, 1, generator=generator) * strength.shift * zoom
    grid = functional.affine_grid(torch.cat([affine, shift], dim=2), [n, 1, side, side], align_corners=False)
    bends = _smooth_noise(n, 2, cells=5, generator=generator, side=side) * strength.elastic
    return grid + bends.permute(0, 2, 3, 1)


def _neighbour(
    others: Tensor, grid: Tensor, direction: float, chance: float, generator: torch.Generator
) -> Tensor:
    """Ink of other characters that reaches in from above (-1) or below (1)."""
    n = len(others)
    away = torch.empty(n).uniform_(0.72, 1.1, generator=generator) * 2 * CROP_SIDE / BANK_SIDE
    moved = grid.clone()
    moved[..., 1] -= direction * away[:, None, None]
    is_there = (torch.rand(n, generator=generator) < chance).float()[:, None, None, None]
    return functional.grid_sample(others, moved, align_corners=False) * is_there


def stroke_width(darkness: Tensor, stroke: float, generator: torch.Generator) -> Tensor:
    """Strokes (B, 1, S, S) of bright ink, thickened or thinned."""
    thick = functional.max_pool2d(darkness, kernel_size=3, stride=1, padding=1)
    thin = -functional.max_pool2d(-darkness, kernel_size=3, stride=1, padding=1)
    change = torch.empty(len(darkness), 1, 1, 1).uniform_(-stroke, stroke, generator=generator)
    return torch.where(
        change > 0, torch.lerp(darkness, thick, change), torch.lerp(darkness, thin, -0.5 * change)
    )


def _on_paper(drawn: Tensor, generator: torch.Generator) -> Tensor:
    n = len(drawn)
    fading = 1 + 0.25 * _smooth_noise(n, 1, cells=4, generator=generator).clamp(-2, 2)
    stains = 0.06 * _smooth_noise(n, 1, cells=4, generator=generator)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.35, 0.9, generator=generator)
    noise = torch.empty(n, 1, 1, 1).uniform_(0, 0.04, generator=generator)
    page = 0.9 + stains - contrast * (drawn * fading).clamp(0, 1)
    page = page + noise * torch.randn(page.shape, generator=generator)
    blurred = functional.avg_pool2d(
        functional.pad(page, (1, 1, 1, 1), mode="replicate"), kernel_size=3, stride=1
    )
    blur = torch.empty(n, 1, 1, 1).uniform_(-1, 1, generator=generator).clamp(min=0)
    return torch.lerp(page, blurred, blur).clamp(0, 1)


def _smooth_noise(
    n: int, channels: int, *, cells: int, generator: torch.Generator, side: int = CROP_SIDE
) -> Tensor:
    """(B, channels, S, S), normally distributed, varying over a few cells."""
    noise = torch.randn(n, channels, cells, cells, generator=generator)
    return functional.interpolate(noise, size=(side, side), mode="bicubic", align_corners=True)
