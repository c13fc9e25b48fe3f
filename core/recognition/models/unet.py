"""This U-Net finds characters (Ronneberger et al. 2015, arXiv:1505.04597).

On request it folds squares of pixels into channels before the first convolution and unfolds them behind
the last (sub-pixel convolution, Shi et al. 2016, arXiv:1609.05158): at full resolution nearly all the
time goes into moving pixels through memory, and strokes are wider than two pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """These are the hyper-parameters of a U-Net and the thresholds that belong to its weights.

    Attributes:
        widths: channels of each level, from full resolution down.
        bottleneck: channels below the last level.
        out_channels: 1 for a mask alone; 4 for mask, centre, log width, log height.
        is_normalised: batch normalisation behind each convolution.
        fold: squares of so many pixels a side become channels; 1 folds nothing.
        mask_threshold: a pixel above it belongs to a character.
        peak_threshold: a local maximum of the centre map above it is a character.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (16, 32, 64, 128)
    bottleneck: int = 256
    out_channels: int = 4
    is_normalised: bool = True
    fold: int = 1
    mask_threshold: float = 0.5
    peak_threshold: float = 0.25

    @property
    def stride(self) -> int:
        """Return the number of which the sides of the input must be multiples."""
        return self.fold << len(self.widths)


class UNet(nn.Module):
    """This network joins an encoder and a decoder by skip connections; transposed convolutions go up."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        levels = (*config.widths, config.bottleneck)
        cells = config.fold**2
        inputs = (cells * config.in_channels, *config.widths)
        self.encoders = nn.ModuleList(
            _two_convolutions(before, width, is_normalised=config.is_normalised)
            for before, width in zip(inputs, levels, strict=True)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(below, width, kernel_size=2, stride=2)
            for width, below in reversed(list(pairwise(levels)))
        )
        self.decoders = nn.ModuleList(
            _two_convolutions(2 * width, width, is_normalised=config.is_normalised)
            for width in reversed(config.widths)
        )
        self.head = nn.Conv2d(config.widths[0], cells * config.out_channels, kernel_size=1)
        self.pool = nn.MaxPool2d(2)
        self.fold = nn.PixelUnshuffle(config.fold)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) in [0, 1] to (B, out_channels, H, W) logits and log sizes."""
        x = self.fold(x)  # (B, fold² · in_channels, H/fold, W/fold)
        skips = []
        for encoder in self.encoders[:-1]:
            x = encoder(x)
            skips.append(x)
            x = self.pool(x)  # (B, width, H/2, W/2), level by level
        x = self.encoders[-1](x)  # (B, bottleneck, H/stride, W/stride)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(torch.cat([skip, up(x)], dim=1))  # (B, width, 2H, 2W), level by level
        return unfolded(self.head(x), self.fold.downscale_factor)  # (B, out_channels, H, W)


def unfolded(x: Tensor, fold: int) -> Tensor:
    """Turn channels (B, fold² · C, H, W) back into squares of pixels (B, C, fold · H, fold · W).

    As `nn.PixelShuffle`, but that would leave the C maps interleaved, and each slow to work on.
    """
    batch, channels, height, width = x.shape
    cells = x.view(batch, channels // fold**2, fold, fold, height, width)
    return cells.permute(0, 1, 4, 2, 5, 3).reshape(batch, -1, fold * height, fold * width)


def _two_convolutions(before: int, width: int, *, is_normalised: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, width):
        # A bias before batch normalisation would be subtracted again.
        layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=not is_normalised))
        if is_normalised:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
