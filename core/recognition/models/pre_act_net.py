"""This residual network is for small images, and normalises before each convolution.

He et al. 2016, "Identity mappings in deep residual networks", arXiv:1603.05027. GlyphNet, which reads
pages, halves the resolution at once: good for 64 pixels, too much for 28.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class PreActNetConfig:
    """These are the hyper-parameters of the residual classifier.

    Attributes:
        crop_side: S; any will do, since the last cells are averaged.
        widths: channels of each stage; each but the first halves the resolution.
        blocks: residual blocks of each stage.
        dropout: of the averaged features.
    """

    n_classes: int
    crop_side: int = 28
    channels: int = 1
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (2, 2, 2)
    dropout: float = 0.2


class PreActNet(nn.Module):
    """This network maps crops to class logits; it has 0.7 million weights for ten classes."""

    def __init__(self, config: PreActNetConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(config.channels, config.widths[0], kernel_size=3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for number, (before, width) in enumerate(pairwise((config.widths[0], *config.widths))):
            stages.append(_Block(before, width, stride=1 if number == 0 else 2))
            stages += [_Block(width, width, stride=1) for _ in range(config.blocks[number] - 1)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.BatchNorm2d(config.widths[-1]),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(config.widths[-1], config.n_classes),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map (M, channels, S, S) in [0, 1] to (M, C) logits."""
        x = self.stages(self.stem(2 * crops - 1))  # (M, widths[-1], S/4, S/4)
        logits: Tensor = self.head(x)  # (M, C)
        return logits


class _Block(nn.Module):
    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.normalised = nn.BatchNorm2d(before)
        self.first = nn.Conv2d(before, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.second = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
        )
        is_same = before == width and stride == 1
        self.shortcut = (
            None
            if is_same
            else nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(before, width, kernel_size=1, bias=False),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.normalised(x))
        # What is the same goes on untouched; what changes its shape is normalised before.
        same = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = same + self.second(self.first(active))
        return out
