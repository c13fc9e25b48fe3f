"""This small vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) is made of torchvision's."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models import VisionTransformer


@dataclass(frozen=True, slots=True)
class SmallViTConfig:
    """These are the hyper-parameters of the transformer.

    Attributes:
        crop_side: S, a multiple of the patch's side.
        patch_side: pixels of the square that becomes one token: 49 tokens of 28 x 28.
        layers: of attention.
        width: of a token; a multiple of the number of heads.
        hidden: outputs of the first linear layer in each layer.
    """

    n_classes: int
    crop_side: int = 28
    channels: int = 1
    patch_side: int = 4
    layers: int = 6
    heads: int = 4
    width: int = 128
    hidden: int = 256
    dropout: float = 0.1


class SmallViT(nn.Module):
    """This network maps crops to class logits; it has 0.8 million weights for ten classes."""

    def __init__(self, config: SmallViTConfig) -> None:
        super().__init__()
        self.body = VisionTransformer(
            image_size=config.crop_side,
            patch_size=config.patch_side,
            num_layers=config.layers,
            num_heads=config.heads,
            hidden_dim=config.width,
            mlp_dim=config.hidden,
            dropout=config.dropout,
            num_classes=config.n_classes,
        )
        # torchvision's takes colour alone.
        self.body.conv_proj = nn.Conv2d(
            config.channels, config.width, kernel_size=config.patch_side, stride=config.patch_side
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map (M, channels, S, S) in [0, 1] to (M, C) logits."""
        logits: Tensor = self.body(2 * crops - 1)  # (M, C)
        return logits
