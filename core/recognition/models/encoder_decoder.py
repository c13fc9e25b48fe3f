"""This is the encoder-decoder without skip connections with which the first report compares its U-Net."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class EncoderDecoderConfig:
    """These are the hyper-parameters of an encoder-decoder.

    Attributes:
        widths: channels after each convolution on the way down.
        mask_threshold: a pixel above it belongs to a character.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (16, 32, 64)
    out_channels: int = 1
    mask_threshold: float = 0.5

    @property
    def stride(self) -> int:
        """Return the number of which the sides of the input must be multiples."""
        return 1 << len(self.widths)


class EncoderDecoder(nn.Module):
    """This network goes down by convolution, ReLU and max-pool, and up by transposed convolutions."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        down: list[nn.Module] = []
        for before, width in pairwise((config.in_channels, *config.widths)):
            down += [nn.Conv2d(before, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            down.append(nn.MaxPool2d(2))
        up: list[nn.Module] = []
        for before, width in pairwise((*reversed(config.widths), config.out_channels)):
            up += [nn.ConvTranspose2d(before, width, kernel_size=2, stride=2), nn.ReLU(inplace=True)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up[:-1])  # logits may be negative

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) in [0, 1] to (B, out_channels, H, W) logits."""
        x = self.encoder(x)  # (B, widths[-1], H/stride, W/stride)
        logits: Tensor = self.decoder(x)  # (B, out_channels, H, W)
        return logits
