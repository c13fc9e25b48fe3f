"""These are networks as they come out of weights files, whatever their architecture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fumikura.core.recognition.models.architectures import ClassifierConfig, SegmenterConfig


@dataclass(frozen=True, slots=True)
class LoadedSegmenter:
    """A loaded segmenter may be of any architecture.

    Attributes:
        model: maps (B, 3, H, W) in [0, 1] to (B, 1 or more, H, W); the first are the mask's logits.
    """

    model: nn.Module
    config: SegmenterConfig


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A loaded classifier may be of any architecture.

    Attributes:
        model: maps (M, channels, S, S) in [0, 1], as the images are, to (M, C) logits.
    """

    model: nn.Module
    config: ClassifierConfig
    labels: tuple[str, ...]

    def crops_of(self, images: NDArray[np.uint8]) -> Tensor:
        """Make of images (M, H, W) or (M, H, W, 3) what the model wants: (M, channels, S, S) in [0, 1]."""
        crops = with_channels(images, self.config.channels).float() / 255
        return resized(crops, self.config.crop_side)


class Inverted(nn.Module):
    """This turns images over for a classifier that learnt ink as bright."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor) -> Tensor:
        """Map (M, channels, S, S) in [0, 1] to (M, C) logits."""
        logits: Tensor = self.model(1 - crops)
        return logits


def with_channels(images: NDArray[np.uint8], channels: int) -> Tensor:
    """Turn images (M, H, W) or (M, H, W, 3) into uint8 (M, channels, H, W)."""
    pixels = torch.from_numpy(images)
    if pixels.ndim == 3:
        return pixels[:, None].expand(-1, channels, -1, -1)
    # Grey is the red channel, as the reader takes it: vermilion seals nearly vanish.
    return pixels.permute(0, 3, 1, 2)[:, :channels]


def resized(crops: Tensor, side: int) -> Tensor:
    """Resize crops (M, channels, H, W) of float to (M, channels, S, S)."""
    if crops.shape[2:] == (side, side):
        return crops
    return functional.interpolate(crops, (side, side), mode="bilinear", antialias=True)
