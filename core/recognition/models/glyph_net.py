"""This small residual network names a character (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class GlyphNetConfig:
    """These are the hyper-parameters of the classifier.

    Attributes:
        crop_side: S, side of a crop in pixels.
        stem: channels after the first convolution, which halves the resolution.
        widths: channels of each stage; each but the first halves the resolution.
        blocks: residual blocks of each stage.
        embedding: channels before the last layer.
        sees_shapes: it is told the shape of the box too, which a square crop does not show.
        finds_boxes: it also says where in the crop the character's box lies.
    """

    n_classes: int
    crop_side: int = 64
    stem: int = 32
    widths: tuple[int, ...] = (48, 96, 192, 256)
    blocks: tuple[int, ...] = (1, 1, 2, 1)
    embedding: int = 256
    dropout: float = 0.3
    sees_shapes: bool = False
    finds_boxes: bool = False

    @property
    def channels(self) -> int:
        """Return 1, since crops are grey: the reader cuts them from the red channel."""
        return 1


class GlyphNet(nn.Module):
    """This network maps grey crops to class logits, whatever their contrast and brightness."""

    def __init__(self, config: GlyphNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(*_convolution(1, config.stem, stride=2), nn.ReLU(inplace=True))
        stages: list[nn.Module] = []
        for number, (before, width) in enumerate(pairwise((config.stem, *config.widths))):
            stages.append(_Residual(before, width, stride=1 if number == 0 else 2))
            stages += [_Residual(width, width, stride=1) for _ in range(config.blocks[number] - 1)]
        self.stages = nn.Sequential(*stages)
        # Before the head, whose layers are the last ones for all who look for these.
        self.corners = nn.Linear(config.embedding, 4) if config.finds_boxes else None
        self.head = nn.Sequential(
            # 2 x 2 cells keep top from bottom and left from right, which a global mean forgets.
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * config.widths[-1] + (4 if config.sees_shapes else 0), config.embedding),
            nn.BatchNorm1d(config.embedding),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.embedding, config.n_classes),
        )

    def forward(self, crops: Tensor, shapes: Tensor | None = None) -> Tensor:
        """Map crops (M, 1, S, S) of any brightness to logits (M, C) of boxes whose shape is unknown.

        With shapes, it gives what `look` does, side by side: (M, C + 4), or (M, C).
        """
        is_told = shapes is not None
        if shapes is None:
            shapes = crops.new_full((len(crops), 2), torch.nan, dtype=torch.float32)
        spread, mean = torch.std_mean(crops, dim=(1, 2, 3), keepdim=True)
        x = (crops - mean) / (spread + 1e-3)
        x = self.head[:2](self.stages(self.stem(x)))  # (M, 4 · widths[-1])
        if self.config.sees_shapes:
            unknown = shapes.isnan()
            x = torch.cat([x, shapes.masked_fill(unknown, 0.0).to(x.dtype), unknown.to(x.dtype)], dim=1)
        embedding = self.head[2:5](x)
        logits: Tensor = self.head[5:](embedding)  # (M, C)
        if is_told and self.corners is not None:
            logits = torch.cat([logits, self.corners(embedding)], dim=1)
        return logits

    def look(self, crops: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """Map crops (M, 1, S, S) of any brightness to logits and to where their characters lie.

        Args:
            shapes: (M, 2), as `box_shapes` gives them; nan where unknown.

        Returns:
            (M, C) logits, and corners (M, 4) left, top, right, bottom in [-1, 1] of the crop, or
            (M, 0) from a network that finds no boxes.
        """
        seen = self(crops, shapes)
        return seen[:, : self.config.n_classes], seen[:, self.config.n_classes :]


class _Residual(nn.Module):
    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(before, width, stride=stride),
            nn.ReLU(inplace=True),
            *_convolution(width, width, stride=1),
        )
        is_same = before == width and stride == 1
        self.shortcut = (
            nn.Identity()
            if is_same
            else nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(before, width, kernel_size=1, bias=False),
                nn.BatchNorm2d(width),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _convolution(before: int, width: int, *, stride: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, width, kernel_size=3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(
        width
    )
