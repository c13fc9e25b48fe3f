"""The networks, and the files that their weights are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import CheckpointError
from core.models.checkpoint import load_classifier, load_segmenter, save_classifier, save_segmenter
from core.models.glyph_net import GlyphNet, GlyphNetConfig
from core.models.inference import Classifier, Segmenter
from core.models.unet import UNet, UNetConfig

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

    segmenter._model._model.register_forward_pre_hook(forget_large_batches)

    assert torch.allclose(segmenter.maps(patches), wanted, atol=1e-5)
    assert seen == [8, 4, 2, 2, 2, 2]


def test_the_best_labels_come_first_and_are_probabilities(tmp_path: Path) -> None:
    save_classifier(
        tmp_path / "c.safetensors", GlyphNet(SMALL_GLYPH_NET), SMALL_GLYPH_NET, ["の", "人", "〱"]
    )
    classifier = Classifier(tmp_path / "c.safetensors", device="cpu", precision="fp32", crops_per_batch=2)

    probabilities, numbers = classifier.best(torch.rand(5, 1, 64, 64), 3)

    assert torch.all(probabilities[:, :-1] >= probabilities[:, 1:])
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0] * 5, abs=1e-5)
    assert {tuple(sorted(row)) for row in numbers.tolist()} == {(0, 1, 2)}


def test_no_crops_give_no_labels(tmp_path: Path) -> None:
    save_classifier(
        tmp_path / "c.safetensors", GlyphNet(SMALL_GLYPH_NET), SMALL_GLYPH_NET, ["の", "人", "〱"]
    )
    classifier = Classifier(tmp_path / "c.safetensors", device="cpu", precision="fp32", crops_per_batch=2)

    probabilities, numbers = classifier.best(torch.empty(0, 1, 64, 64), 5)

    assert probabilities.shape == numbers.shape == (0, 3)
