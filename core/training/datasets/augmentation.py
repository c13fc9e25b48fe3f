"""This module shows images differently each time: crops as hand, block, paper and scanner distort them,
and the images of a data set turned, bent and worn, with masks in step with their patches.

Elastic distortion follows Simard et al. 2003 (doi:10.1109/ICDAR.2003.1227801).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from fumikura.core.training.datasets.crop_bank import BANK_SIDE, CROP_SIDE

Augmentation = Literal["none", "rotation", "strong"]

#: Side of a crop in sides of the image in a bank.
ZOOM = CROP_SIDE / BANK_SIDE
#: The second report's: as far as this to either side, evenly.
ROTATION_DEGREES = 10.0
#: Side of the square that a strongly changed image lacks, as a share of its side (cutout, DeVries and
#: Taylor 2017, arXiv:1708.04552).
_HOLE = 0.33


@dataclass(frozen=True, slots=True)
class Strength:
    """These numbers say how hard images are distorted.

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
FOR_CROPS = Strength(rotation=0.05, scale=0.16, shift=0.14, elastic=0.025, stroke=0.7, neighbours=0.0)
#: What others cut out came without its surroundings.
FOR_CUT_OUT = replace(FOR_CROPS, neighbours=0.5)
#: Glyphs are too regular: a font has one form where hands have thousands.
FOR_GLYPHS = Strength(rotation=0.14, scale=0.18, shift=0.12, elastic=0.07, stroke=1.0, neighbours=0.6)
_STRONG = Strength(rotation=0.13, scale=0.11, shift=0.10, elastic=0.06, stroke=0.5, neighbours=0.0)


def distort(darkness: Tensor, strength: Strength, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Distort crops, and show them as a camera would.

    Args:
        darkness: (B, 1, 96, 96) in [0, 1], on the generator's device.

    Returns:
        (B, 1, 64, 64) brightness in [0, 1], and how each was cut anew: its `warps`.
    """
    ink = stroke_width(darkness, strength.stroke, generator)
    cut = warps(len(ink), strength, generator)
    grid = _bent(cut, strength, generator, side=CROP_SIDE)
    drawn = functional.grid_sample(ink, grid, align_corners=False)  # (B, 1, 64, 64)
    if strength.neighbours:
        others = ink[torch.randperm(len(ink), generator=generator, device=ink.device)]
        for direction in (-1.0, 1.0):
            drawn = torch.maximum(drawn, _neighbour(others, grid, direction, strength.neighbours, generator))
    return _on_paper(drawn, generator), cut


def warps(n: int, strength: Strength, generator: torch.Generator, *, zoom: float = ZOOM) -> Tensor:
    """Draw the affine maps (B, 2, 3) from each crop, in [-1, 1], to the image that it is cut from, likewise.

    Args:
        zoom: side of the crop in sides of that image.
    """
    angle, shear = _normal(n, generator) * strength.rotation, _normal(n, generator) * strength.rotation
    scale = (_normal((n, 2), generator) * strength.scale).exp() * zoom
    cosine, sine = angle.cos(), angle.sin()
    affine = torch.stack(
        [
            torch.stack([cosine * scale[:, 0], (shear - sine) * scale[:, 1]], dim=1),
            torch.stack([sine * scale[:, 0], cosine * scale[:, 1]], dim=1),
        ],
        dim=1,
    )
    return torch.cat([affine, _normal((n, 2, 1), generator) * strength.shift * zoom], dim=2)


def _bent(cut: Tensor, strength: Strength, generator: torch.Generator, *, side: int) -> Tensor:
    """Say where each pixel of a crop comes from: (B, S, S, 2) in [-1, 1] of the image that it is cut from."""
    grid = functional.affine_grid(cut, [len(cut), 1, side, side], align_corners=False)
    bends = _smooth_noise(len(cut), 2, cells=5, generator=generator, side=side) * strength.elastic
    return grid + bends.permute(0, 2, 3, 1)


def sampling_grid(n: int, side: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor | None:
    """Draw where each pixel of n images comes from: (B, S, S, 2) in [-1, 1], or None if nothing moves."""
    if augmentation == "none":
        return None
    if augmentation == "strong":
        return _bent(warps(n, _STRONG, generator, zoom=1.0), _STRONG, generator, side=side)
    angle = _even(n, -1, 1, generator) * math.radians(ROTATION_DEGREES)
    cosine, sine, still = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [torch.stack([cosine, -sine, still], dim=1), torch.stack([sine, cosine, still], dim=1)]
    return functional.affine_grid(torch.stack(rows, dim=1), [n, 1, side, side], align_corners=False)


def moved(images: Tensor, grid: Tensor | None, *, outside: str, mode: str = "bilinear") -> Tensor:
    """Fetch each pixel of images (B, channels, S, S) of float from where the grid says.

    Args:
        outside: what lies beyond the edge: "zeros", "border" or "reflection".
    """
    if grid is None:
        return images
    return functional.grid_sample(images, grid, mode=mode, padding_mode=outside, align_corners=False)


def worn(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Make crops (B, channels, S, S) of bright ink look worn: strokes change, a square of each is lost."""
    n, _, side, _ = crops.shape
    half = _HOLE * side / 2
    centre = _even((n, 2, 1), 0, side, generator)
    is_near = (torch.arange(side, device=crops.device) + 0.5 - centre).abs() < half  # (B, 2, S)
    hole = is_near[:, 0, :, None] & is_near[:, 1, None, :]
    written = stroke_width(crops, _STRONG.stroke, generator)
    return torch.where(hole[:, None], crops.mean(dim=(1, 2, 3), keepdim=True), written)


def _neighbour(
    others: Tensor, grid: Tensor, direction: float, chance: float, generator: torch.Generator
) -> Tensor:
    """Let ink of other characters reach in from above (-1) or below (1)."""
    n = len(others)
    away = _even(n, 0.72, 1.1, generator) * 2 * ZOOM
    moved = grid.clone()
    moved[..., 1] -= direction * away[:, None, None]
    is_there = (_even(n, 0, 1, generator) < chance).float()[:, None, None, None]
    return functional.grid_sample(others, moved, align_corners=False) * is_there


def stroke_width(darkness: Tensor, stroke: float, generator: torch.Generator) -> Tensor:
    """Thicken or thin strokes (B, 1, S, S) of bright ink."""
    thick = functional.max_pool2d(darkness, kernel_size=3, stride=1, padding=1)
    thin = -functional.max_pool2d(-darkness, kernel_size=3, stride=1, padding=1)
    change = _even((len(darkness), 1, 1, 1), -stroke, stroke, generator)
    return torch.where(
        change > 0, torch.lerp(darkness, thick, change), torch.lerp(darkness, thin, -0.5 * change)
    )


def _on_paper(drawn: Tensor, generator: torch.Generator) -> Tensor:
    n = len(drawn)
    fading = 1 + 0.25 * _smooth_noise(n, 1, cells=4, generator=generator).clamp(-2, 2)
    stains = 0.06 * _smooth_noise(n, 1, cells=4, generator=generator)
    contrast = _even((n, 1, 1, 1), 0.35, 0.9, generator)
    noise = _even((n, 1, 1, 1), 0, 0.04, generator)
    page = 0.9 + stains - contrast * (drawn * fading).clamp(0, 1)
    page = page + noise * _normal(page.shape, generator)
    blurred = functional.avg_pool2d(
        functional.pad(page, (1, 1, 1, 1), mode="replicate"), kernel_size=3, stride=1
    )
    blur = _even((n, 1, 1, 1), -1, 1, generator).clamp(min=0)
    return torch.lerp(page, blurred, blur).clamp(0, 1)


def _smooth_noise(
    n: int, channels: int, *, cells: int, generator: torch.Generator, side: int = CROP_SIDE
) -> Tensor:
    """Draw (B, channels, S, S), normally distributed, varying over a few cells."""
    noise = _normal((n, channels, cells, cells), generator)
    return functional.interpolate(noise, size=(side, side), mode="bicubic", align_corners=True)


def _normal(shape: int | Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw numbers of this shape on the generator's device, normally distributed around 0."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return torch.randn(shape, generator=generator, device=generator.device)


def _even(shape: int | Sequence[int], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw numbers of this shape on the generator's device, evenly between two."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return torch.empty(shape, device=generator.device).uniform_(low, high, generator=generator)
