"""The networks, and the files that their weights are kept in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fumikura.core.errors import CheckpointError
from fumikura.core.recognition.models.architectures import build
from fumikura.core.recognition.models.checkpoint import (
    load_any_classifier,
    load_any_segmenter,
    load_classifier,
    load_segmenter,
    save_classifier,
    save_segmenter,
)
from fumikura.core.recognition.models.encoder_decoder import EncoderDecoderConfig
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.inference import Classifier, Segmenter, fold_normalisation
from fumikura.core.recognition.models.plain_cnn import PlainCNNConfig
from fumikura.core.recognition.models.pre_act_net import PreActNetConfig
from fumikura.core.recognition.models.simple_cnn import SimpleCNN, SimpleCNNConfig
from fumikura.core.recognition.models.small_vit import SmallViTConfig
from fumikura.core.recognition.models.unet import UNet, UNetConfig, unfolded
from fumikura.core.recognition.recipe import find_weights

SMALL_UNET = UNetConfig(widths=(4, 8), bottleneck=8)
SMALL_GLYPH_NET = GlyphNetConfig(n_classes=3, stem=4, widths=(4, 4, 4, 4), embedding=8)


def test_the_network_of_the_report_has_its_shape() -> None:
    model = UNet(UNetConfig(widths=(64, 128, 256), bottleneck=512, out_channels=1, is_normalised=False))

    # Worked by hand: 3x3 convolutions with bias, transposed 2x2 convolutions with bias, a 1x1 head.
    def convolutions(before: int, width: int) -> int:
        return (9 * before + 1) * width + (9 * width + 1) * width

    wanted = sum(convolutions(*pair) for pair in ((3, 64), (64, 128), (128, 256), (256, 512)))
    wanted += sum((4 * 2 * width + 1) * width + convolutions(2 * width, width) for width in (64, 128, 256))
    wanted += 64 + 1
    assert sum(parameter.numel() for parameter in model.parameters()) == wanted
    assert model(torch.zeros(1, 3, 64, 32)).shape == (1, 1, 64, 32)


def n_weights(config: object) -> int:
    return sum(parameter.numel() for parameter in build(config).parameters())


def test_the_plain_network_of_the_report_has_its_shape() -> None:
    # 3x3 convolutions with bias 3 -> 16 -> 32 -> 64, and transposed 2x2 ones 64 -> 32 -> 16 -> 1.
    convolutions = (27 + 1) * 16 + (144 + 1) * 32 + (288 + 1) * 64
    wanted = convolutions + (64 * 4 * 32 + 32) + (32 * 4 * 16 + 16) + (16 * 4 * 1 + 1)

    assert n_weights(EncoderDecoderConfig()) == wanted
    assert build(EncoderDecoderConfig())(torch.zeros(1, 3, 64, 32)).shape == (1, 1, 64, 32)
    assert EncoderDecoderConfig().stride == 8


def test_the_classifiers_of_the_reports_have_their_shapes() -> None:
    # 28 -> 26 -> 13 -> 11 -> 5 pixels: 64 channels of 5 x 5 are the report's 1600.
    simple = (9 + 1) * 32 + (9 * 32 + 1) * 64 + (1600 + 1) * 128 + (128 + 1) * 10
    # 64 -> 32 -> 16 -> 8 pixels.
    plain = (27 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128 + (8 * 8 * 128 + 1) * 256 + (256 + 1) * 50

    assert n_weights(SimpleCNNConfig(n_classes=10)) == simple
    assert n_weights(PlainCNNConfig(n_classes=50)) == plain


def test_the_residual_network_and_the_transformer_are_of_like_size() -> None:
    blocks = sum(2 * 9 * width**2 * 2 for width in (32, 64, 128))
    # The first block of a stage has a narrower input, and a 1x1 convolution beside it.
    blocks += sum(9 * width * (width // 2 - width) + width * width // 2 for width in (64, 128))
    # Two for each channel that is normalised: each block's input and middle, and the end.
    normalised = 2 * (4 * 32 + (32 + 3 * 64) + (64 + 3 * 128) + 128)
    attention = 4 * (128 * 128 + 128) + (128 * 256 + 256) + (256 * 128 + 128) + 2 * 2 * 128
    tokens = (16 + 1) * 128 + (49 + 1) * 128 + 128  # patches, positions, the token that is asked

    assert n_weights(PreActNetConfig(n_classes=10)) == 9 * 32 + blocks + normalised + 129 * 10
    assert n_weights(SmallViTConfig(n_classes=10)) == tokens + 6 * attention + 2 * 128 + 129 * 10


@pytest.mark.parametrize("fold", [1, 2, 4])
def test_channels_unfold_into_the_pixels_of_the_reference(fold: int) -> None:
    x = torch.randn(2, 4 * fold**2, 6, 10).to(memory_format=torch.channels_last)

    assert torch.equal(unfolded(x, fold), nn.PixelShuffle(fold)(x))


def test_a_folding_network_gives_a_map_of_full_resolution_in_its_place() -> None:
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 8), bottleneck=8, fold=2)
    model = UNet(config).eval()
    page = torch.rand(1, 3, 96, 96)
    moved = torch.roll(page, shifts=config.stride, dims=2)

    maps, moved_maps = model(page), model(moved)

    assert config.stride == 8
    assert maps.shape == (1, 4, 96, 96)
    # Far from the edges, what moves by the stride moves on the map by as much.
    assert torch.allclose(moved_maps[..., 48:64, 32:64], maps[..., 40:56, 32:64], atol=1e-5)


def test_brightness_and_contrast_of_a_crop_do_not_matter() -> None:
    torch.manual_seed(0)
    model = GlyphNet(SMALL_GLYPH_NET).eval()
    crops = torch.rand(4, 1, 64, 64)

    assert torch.allclose(model(crops), model(0.3 * crops + 0.5), atol=1e-2)


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = UNet(SMALL_UNET).eval()
    page = torch.rand(1, 3, 32, 32)

    save_segmenter(tmp_path / "segmenter.safetensors", model, SMALL_UNET)
    loaded, config = load_segmenter(tmp_path / "segmenter.safetensors")

    assert config == SMALL_UNET
    # Matrices are kept in half precision: 11 bits.
    assert torch.allclose(loaded(page), model(page), atol=1e-2)


def test_labels_travel_with_the_classifier(tmp_path: Path) -> None:
    save_classifier(
        tmp_path / "c.safetensors", GlyphNet(SMALL_GLYPH_NET), SMALL_GLYPH_NET, ["の", "人", "〱"]
    )

    _, _, vocabulary = load_classifier(tmp_path / "c.safetensors")

    assert vocabulary.labels == ("の", "人", "〱")


def test_what_ships_is_among_the_networks_that_any_command_loads() -> None:
    segmenter = load_any_segmenter(find_weights("segmenter", None))
    classifier = load_any_classifier(find_weights("classifier", None))

    assert segmenter.model(torch.zeros(1, 3, segmenter.config.stride, segmenter.config.stride)).shape[1] == 4
    assert classifier.crops_of(np.zeros((2, 48, 48, 3), np.uint8)).shape == (2, 1, 64, 64)


def test_a_file_names_its_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = SimpleCNNConfig(n_classes=2)
    model = SimpleCNN(config).eval()
    crops = torch.rand(4, 1, 28, 28)

    for inverted in (False, True):
        save_classifier(tmp_path / "c.safetensors", model, config, ["の", "人"], is_inverted=inverted)
        loaded = load_any_classifier(tmp_path / "c.safetensors")

        assert loaded.config == config
        assert loaded.labels == ("の", "人")
        assert torch.allclose(loaded.model(1 - crops if inverted else crops), model(crops), atol=1e-2)


def test_a_network_from_the_future_is_an_error(tmp_path: Path) -> None:
    header = {"kind": "classifier", "architecture": "oracle", "config": "{}", "labels": "[]"}
    save_file({"weight": torch.zeros(2)}, tmp_path / "c.safetensors", metadata=header)

    with pytest.raises(CheckpointError, match="the network 'oracle', which this fumikura does not know"):
        load_any_classifier(tmp_path / "c.safetensors")


@pytest.mark.parametrize("config", ['{"rings": 3}', "{", "[]"])
def test_a_configuration_from_the_future_is_an_error(tmp_path: Path, config: str) -> None:
    header = {"kind": "classifier", "config": config, "labels": "[]"}
    save_file({"weight": torch.zeros(2)}, tmp_path / "c.safetensors", metadata=header)

    with pytest.raises(CheckpointError, match="update fumikura"):
        load_classifier(tmp_path / "c.safetensors")


def test_colour_is_made_grey_as_the_reader_does() -> None:
    page = np.zeros((1, 64, 64, 3), np.uint8)
    page[..., 0], page[..., 1] = 255, 10  # vermilion: paper, to the reader

    loaded = load_any_classifier(find_weights("classifier", None))

    assert set(loaded.crops_of(page).flatten().tolist()) == {1.0}


def test_labels_that_do_not_fit_the_classes_are_an_error(tmp_path: Path) -> None:
    save_classifier(tmp_path / "c.safetensors", GlyphNet(SMALL_GLYPH_NET), SMALL_GLYPH_NET, ["の", "人"])

    with pytest.raises(CheckpointError, match="3 classes but 2 labels"):
        load_classifier(tmp_path / "c.safetensors")


def test_weights_of_the_other_kind_are_an_error(tmp_path: Path) -> None:
    save_segmenter(tmp_path / "s.safetensors", UNet(SMALL_UNET), SMALL_UNET)

    with pytest.raises(CheckpointError, match="holds segmenter, not a classifier"):
        load_classifier(tmp_path / "s.safetensors")


def test_safetensors_of_another_program_are_an_error(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")

    with pytest.raises(CheckpointError, match="something else than fumikura weights"):
        load_segmenter(tmp_path / "other.safetensors")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 100])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.safetensors").write_bytes(content)

    with pytest.raises(CheckpointError, match="no readable safetensors file"):
        load_segmenter(tmp_path / "s.safetensors")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no readable safetensors file"):
        load_segmenter(tmp_path / "absent.safetensors")


def test_a_folded_network_says_what_it_said() -> None:
    torch.manual_seed(0)
    for model, inputs in (
        (UNet(SMALL_UNET), torch.rand(2, 3, 32, 32)),
        (GlyphNet(SMALL_GLYPH_NET), torch.rand(9, 1, 64, 64)),
    ):
        model.train()(inputs)  # so that means and spreads are not those of fresh layers
        wanted = model.eval()(inputs)

        fold_normalisation(model)

        assert not any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in model.modules())
        assert torch.allclose(model(inputs), wanted, atol=1e-4)


def test_in_bf16_scores_are_not_rounded_to_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_segmenter(tmp_path / "s.safetensors", UNet(SMALL_UNET), SMALL_UNET)
    segmenter = Segmenter(tmp_path / "s.safetensors", device="cpu", precision="bf16", patches_per_batch=8)

    sizes = segmenter.maps(torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8))[:, 2:]

    assert not torch.equal(sizes, sizes.bfloat16().float())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_batch_shrinks_when_memory_is_short(tmp_path: Path, error: Exception) -> None:
    save_segmenter(tmp_path / "s.safetensors", UNet(SMALL_UNET), SMALL_UNET)
    segmenter = Segmenter(tmp_path / "s.safetensors", device="cpu", precision="fp32", patches_per_batch=8)
    patches = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    wanted = segmenter.maps(patches)
    seen = []

    def forget_large_batches(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        seen.append(len(inputs[0]))
        if len(inputs[0]) > 2:
            raise error

    segmenter.batches._model.register_forward_pre_hook(forget_large_batches)

    assert torch.allclose(segmenter.maps(patches), wanted, atol=1e-5)
    assert seen == [8, 4, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "config", [SMALL_GLYPH_NET, replace(SMALL_GLYPH_NET, sees_shapes=True, finds_boxes=True)]
)
def test_a_classifier_says_how_likely_each_label_is(tmp_path: Path, config: GlyphNetConfig) -> None:
    save_classifier(tmp_path / "c.safetensors", GlyphNet(config), config, ["の", "人", "〱"])
    classifier = Classifier(tmp_path / "c.safetensors", device="cpu", precision="fp32", crops_per_batch=2)

    probabilities, corners = classifier.look(torch.rand(5, 1, 64, 64), torch.zeros(5, 2))
    nothing, nowhere = classifier.look(torch.empty(0, 1, 64, 64), torch.empty(0, 2))

    assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0] * 5, abs=1e-5)
    assert nothing.shape == (0, 3)
    assert corners.shape == (5, 4 if config.finds_boxes else 0)
    assert nowhere.shape == (0, corners.shape[1])


def test_a_classifier_is_told_the_shape_of_a_box_or_that_nobody_knows_it() -> None:
    torch.manual_seed(0)
    model = GlyphNet(replace(SMALL_GLYPH_NET, sees_shapes=True)).eval()
    crop = torch.rand(1, 1, 64, 64).expand(3, -1, -1, -1)

    with torch.inference_mode():
        tall, wide, unknown = model.look(crop, torch.tensor([[-1.0, 0.0], [1.0, 0.0], [torch.nan, 0.0]]))[0]
        alone = model(crop[:1])[0]

    assert not torch.allclose(tall, wide)
    assert not torch.allclose(unknown, (tall + wide) / 2)
    assert torch.isfinite(alone).all()
