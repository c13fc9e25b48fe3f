"""This is the second report's classifier of Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SimpleCNNConfig:
    """These are the hyper-parameters of the report's network.

    Attributes:
        crop_side: S; 28 gives the 1600 features of the report.
    """

    n_classes: int
    crop_side: int = 28
    channels: int = 1
    widths: tuple[int, int] = (32, 64)
    hidden: int = 128
    dropout: float = 0.5


class SimpleCNN(nn.Module):
    """This network has two convolutions without padding, each pooled, and two linear layers."""

    def __init__(self, config: SimpleCNNConfig) -> None:
        super().__init__()
        first, second = config.widths
        side = ((config.crop_side - 2) // 2 - 2) // 2
        self.features = nn.Sequential(
            nn.Conv2d(config.channels, first, kernel_size=3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, kernel_size=3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Flatten(),
            nn.Linear(side**2 * second, config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.n_classes),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map (M, channels, S, S) in [0, 1] to (M, C) logits."""
        x = self.features(2 * crops - 1)  # (M, 64, 5, 5) of 28 x 28
        logits: Tensor = self.head(x)  # (M, C)
        return logits
