"""Characters are named in their boxes, and looked at twice where that helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fumikura.core.recognition.crops import box_shapes, cut_crops, outlines
from fumikura.core.recognition.models.checkpoint import save_classifier
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.inference import Classifier, Fill
from fumikura.core.recognition.naming import name_boxes

SMALL = GlyphNetConfig(
    n_classes=3, stem=8, widths=(8, 8), blocks=(1, 1), embedding=8, sees_shapes=True, finds_boxes=True
)
BOXES = [
    torch.tensor([[20.0, 20.0, 30.0, 30.0], [20.0, 60.0, 30.0, 30.0]]),
    torch.tensor([[5.0, 8.0, 20.0, 20.0]]),
]


def classifier_that_says(tmp_path: Path, corners: Tensor, *, sureness: float) -> Classifier:
    """Make a classifier that finds every character at the same corners of its crop, and knows it as の."""
    torch.manual_seed(0)
    model = GlyphNet(SMALL).eval()
    last = {
        "corners.weight": torch.zeros(4, 8),
        "corners.bias": corners,
        "head.6.weight": torch.zeros(3, 8),
        "head.6.bias": torch.tensor([sureness, 0.0, 0.0]),
    }
    model.load_state_dict({**model.state_dict(), **last})
    save_classifier(tmp_path / "c.safetensors", model, SMALL, ["の", "人", "〱"])
    return Classifier(tmp_path / "c.safetensors", device="cpu", precision="fp32", crops_per_batch=8)


@pytest.fixture
def pages() -> list[Tensor]:
    return [torch.randint(0, 256, (3, 100, 80), dtype=torch.uint8) for _ in BOXES]


def looks(classifier: Classifier, pages: list[Tensor]) -> tuple[int, list[Tensor], list[Tensor]]:
    """Name the boxes; return how many crops were looked at, too."""
    fill = classifier.batches.fill = Fill()
    likely, boxes = name_boxes(classifier, pages, BOXES)
    return fill.n_inputs, likely, boxes


def test_what_is_sure_and_well_cut_is_looked_at_once(tmp_path: Path, pages: list[Tensor]) -> None:
    half = outlines(box_shapes(BOXES[1]))[0]
    classifier = classifier_that_says(tmp_path, torch.cat([-half, half]), sureness=9.0)

    n_looks, likely, boxes = looks(classifier, pages)

    assert n_looks == 3
    assert [len(rows) for rows in likely] == [2, 1]
    for moved, given in zip(boxes, BOXES, strict=True):
        assert torch.allclose(moved, given, atol=0.01)


def test_a_box_that_is_off_is_moved_and_looked_at_again(tmp_path: Path, pages: list[Tensor]) -> None:
    # The left half of a crop, whose side is 1.15 times that of these boxes.
    classifier = classifier_that_says(tmp_path, torch.tensor([-1.0, -1.0, 0.0, 1.0]), sureness=9.0)

    n_looks, likely, boxes = looks(classifier, pages)

    assert n_looks == 6
    assert boxes[1][0].tolist() == pytest.approx([15 - 11.5, 18 - 11.5, 11.5, 23.0], abs=0.01)
    assert torch.cat(likely)[:, 0].min() > 0.99


def test_what_is_unsure_is_looked_at_again(tmp_path: Path, pages: list[Tensor]) -> None:
    half = outlines(box_shapes(BOXES[1]))[0]
    classifier = classifier_that_says(tmp_path, torch.cat([-half, half]), sureness=1.0)

    assert looks(classifier, pages)[0] == 6


def test_weights_that_find_no_boxes_look_once_and_leave_them(tmp_path: Path, pages: list[Tensor]) -> None:
    config = replace(SMALL, sees_shapes=False, finds_boxes=False)
    save_classifier(tmp_path / "c.safetensors", GlyphNet(config), config, ["の", "人", "〱"])
    classifier = Classifier(tmp_path / "c.safetensors", device="cpu", precision="fp32", crops_per_batch=8)

    n_looks, likely, boxes = looks(classifier, pages)

    assert n_looks == 3
    assert all(torch.equal(moved, given) for moved, given in zip(boxes, BOXES, strict=True))
    wanted, _ = classifier.look(cut_crops(pages, BOXES, side=64), torch.cat([box_shapes(b) for b in BOXES]))
    assert torch.equal(torch.cat(likely), wanted)


def test_pages_without_boxes_have_no_names(tmp_path: Path, pages: list[Tensor]) -> None:
    classifier = classifier_that_says(tmp_path, torch.zeros(4), sureness=1.0)

    likely, boxes = name_boxes(classifier, pages, [torch.empty(0, 4)] * 2)

    assert [rows.shape for rows in likely] == [(0, 3)] * 2
    assert [rows.shape for rows in boxes] == [(0, 4)] * 2
