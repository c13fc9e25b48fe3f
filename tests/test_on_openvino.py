"""OpenVINO computes what torch computes, in the same numbers; where it is not installed, torch does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fumikura.core import doctor
from fumikura.core.errors import UsageError
from fumikura.core.recognition.models import on_openvino
from fumikura.core.recognition.models.checkpoint import save_segmenter
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.inference import Segmenter, ready
from fumikura.core.recognition.models.on_openvino import OnOpenVino, converted
from fumikura.core.recognition.models.precision import find_precision
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.settings import Settings

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fumikura[cpu]'")

SMALL_UNET = UNetConfig(widths=(8, 16), bottleneck=16, fold=2)
SMALL_GLYPH_NET = GlyphNetConfig(n_classes=5, widths=(8, 8), blocks=(1, 2), embedding=8)
NETWORKS = ["OpenVINO", "torch"]


@pytest.fixture(params=NETWORKS)
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who computes the networks."""
    computes: str = request.param
    monkeypatch.setattr(on_openvino, "is_installed", lambda: computes == "OpenVINO")
    return computes


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    torch.manual_seed(0)


def test_a_segmenter_says_under_openvino_what_its_network_says() -> None:
    model = UNet(SMALL_UNET).eval()
    patches = torch.randint(0, 256, (3, 3, 64, 48), dtype=torch.uint8)

    network = OnOpenVino(converted(model, patches[:1, :, :16, :16]), precision="fp32")

    with torch.inference_mode():
        assert torch.allclose(network(patches), model(patches.float()), atol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_computes_in_bf16_alone_and_where_it_is_installed(
    tmp_path: Path, by: str, precision: str
) -> None:
    save_segmenter(tmp_path / "s.safetensors", UNet(SMALL_UNET), SMALL_UNET)

    segmenter = Segmenter(tmp_path / "s.safetensors", device="cpu", precision=precision, patches_per_batch=1)

    is_openvinos = isinstance(segmenter.batches._model, OnOpenVino)
    assert is_openvinos == (by == "OpenVINO" and precision == "bf16")


@pytest.mark.parametrize(
    "config",
    [
        SMALL_GLYPH_NET,
        replace(SMALL_GLYPH_NET, sees_shapes=True),
        replace(SMALL_GLYPH_NET, sees_shapes=True, finds_boxes=True),
    ],
    ids=["crops", "shapes", "boxes"],
)
def test_a_classifier_says_under_openvino_what_its_network_says(config: GlyphNetConfig) -> None:
    model = GlyphNet(config).eval()
    crops, shapes = 255 * torch.rand(5, 1, 64, 64), torch.randn(5, 2)
    shapes[1] = torch.nan  # nobody knows it

    network = OnOpenVino(converted(model, crops[:2], shapes[:2]), precision="fp32")

    with torch.inference_mode():
        assert torch.allclose(network(crops, shapes), model(crops, shapes), atol=1e-5)


def test_what_a_network_says_is_not_overwritten_by_what_it_says_next() -> None:
    network = OnOpenVino(
        converted(GlyphNet(SMALL_GLYPH_NET).eval(), torch.rand(2, 1, 64, 64)), precision="fp32"
    )
    first = network(torch.rand(1, 1, 64, 64))
    kept = first.clone()

    network(torch.rand(1, 1, 64, 64))

    assert torch.equal(first, kept)


def test_batches_come_in_few_sizes_and_what_fills_them_up_changes_nothing() -> None:
    model = GlyphNet(SMALL_GLYPH_NET).eval()
    crops = torch.rand(7, 1, 64, 64)
    network = OnOpenVino(converted(model, crops[:2]), precision="fp32")

    logits = network(crops)

    assert network._body.input_tensors[0].shape[0] == 32
    with torch.inference_mode():
        assert torch.allclose(logits, model(crops), atol=1e-5)


def test_in_bf16_scores_are_not_rounded_to_it(by: str) -> None:
    example = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    batches = ready(UNet(SMALL_UNET).eval(), example, device="cpu", precision="bf16", batch_size=8)
    patches = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)

    maps = batches(
        patches, lambda model, batch: model(batch if by == "OpenVINO" else batch.to(batches.dtype))
    )

    assert not torch.equal(maps, maps.bfloat16().float())


def test_openvino_is_not_let_report_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino_telemetry

    def report(*_: object, **__: object) -> None:
        raise AssertionError("it would have reported itself")

    for name in ("init", "send_event", "start_session"):
        monkeypatch.setattr(openvino_telemetry.Telemetry, name, report)

    network = OnOpenVino(
        converted(GlyphNet(SMALL_GLYPH_NET).eval(), torch.rand(2, 1, 64, 64)), precision="fp32"
    )

    assert network(torch.rand(1, 1, 64, 64)).shape == (1, 5)


def test_fp16_on_a_cpu_is_refused_with_what_to_take() -> None:
    with pytest.raises(UsageError, match="precision fp16 is for GPUs; take auto, bf16 or fp32"):
        find_precision("fp16", "cpu")


def test_doctor_says_in_which_numbers_who_computes_and_what_would_be_faster(by: str) -> None:
    found = doctor.look_at_precision(Settings(precision="bf16"), ["cpu"])

    assert found.startswith(f"bf16, by {by}")
    assert ("pip install 'fumikura[cpu]'" in found) == (by == "torch")
