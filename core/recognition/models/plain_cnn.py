"""This is the first report's classifier of characters cut from pages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class PlainCNNConfig:
    """These are the hyper-parameters of the plain classifier.

    Attributes:
        crop_side: S, a multiple of 2 to the number of widths.
        widths: channels after each convolution.
        hidden: outputs of the first linear layer; the report does not say how many.
    """

    n_classes: int
    crop_side: int = 64
    channels: int = 3
    widths: tuple[int, ...] = (32, 64, 128)
    hidden: int = 256
    dropout: float = 0.5


class PlainCNN(nn.Module):
    """This network has convolution, ReLU and max-pool three times, then two linear layers."""

    def __init__(self, config: PlainCNNConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise((config.channels, *config.widths)):
            layers += [nn.Conv2d(before, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
        cells = (config.crop_side >> len(config.widths)) ** 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(cells * config.widths[-1], config.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.n_classes),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map (M, channels, S, S) in [0, 1] to (M, C) logits."""
        x = self.features(crops)  # (M, widths[-1], S/8, S/8)
        logits: Tensor = self.head(x)  # (M, C)
        return logits
