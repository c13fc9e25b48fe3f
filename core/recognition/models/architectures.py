"""This table holds every network by the name that weights files give it; a new one needs a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from fumikura.core.recognition.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.plain_cnn import PlainCNN, PlainCNNConfig
from fumikura.core.recognition.models.pre_act_net import PreActNet, PreActNetConfig
from fumikura.core.recognition.models.simple_cnn import SimpleCNN, SimpleCNNConfig
from fumikura.core.recognition.models.small_vit import SmallViT, SmallViTConfig
from fumikura.core.recognition.models.unet import UNet, UNetConfig


class SegmenterConfig(Protocol):
    """The configurations of all segmenters have this."""

    @property
    def out_channels(self) -> int: ...

    @property
    def mask_threshold(self) -> float: ...

    @property
    def stride(self) -> int: ...


class ClassifierConfig(Protocol):
    """The configurations of all classifiers have this."""

    @property
    def n_classes(self) -> int: ...

    @property
    def crop_side(self) -> int: ...

    @property
    def channels(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture is a network and the type of its configuration."""

    config: Callable[..., Any]
    build: Callable[[Any], nn.Module]


SEGMENTERS = {
    "unet": Architecture(UNetConfig, UNet),
    "encoder-decoder": Architecture(EncoderDecoderConfig, EncoderDecoder),
}
CLASSIFIERS = {
    "glyph-net": Architecture(GlyphNetConfig, GlyphNet),
    "plain-cnn": Architecture(PlainCNNConfig, PlainCNN),
    "simple-cnn": Architecture(SimpleCNNConfig, SimpleCNN),
    "resnet": Architecture(PreActNetConfig, PreActNet),
    "vit": Architecture(SmallViTConfig, SmallViT),
}


def name_of(config: object) -> str:
    """Return the name of the network that a configuration belongs to."""
    known = SEGMENTERS | CLASSIFIERS
    return next(name for name, architecture in known.items() if architecture.config is type(config))


def build(config: object) -> nn.Module:
    """Build the network that a configuration describes, with fresh weights."""
    return (SEGMENTERS | CLASSIFIERS)[name_of(config)].build(config)
