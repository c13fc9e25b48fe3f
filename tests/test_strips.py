"""Long views in strips, and what is found on them put together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fumikura.core.recognition.strips import LONGEST, OVERLAP, joined_boxes, joined_masks, strips_of


def test_a_page_is_one_strip() -> None:
    pixels = np.zeros((1216, 900, 3), np.uint8)

    (strip,) = strips_of(pixels)

    assert strip.pixels.shape == pixels.shape


@pytest.mark.parametrize("shape", [(8, 2 * LONGEST + 5, 3), (2 * LONGEST + 5, 8, 3)])
def test_strips_put_together_give_the_view_back(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 2, shape).astype(np.uint8)

    strips = strips_of(pixels)

    assert len(strips) == 3
    masks = iter([strip.pixels[..., 0] > 0 for strip in strips])
    assert (joined_masks(strips, masks) == (pixels[..., 0] > 0)).all()


def test_what_two_strips_see_is_found_once() -> None:
    strips = strips_of(np.zeros((8, LONGEST + 2, 3), np.uint8))
    edge = strips[1].first
    # One box on the edge, seen by both, with its middle in the second; one in the overlap of the first.
    on_first = torch.tensor([[edge - 8.0, 0, 20, 6], [edge - 50.0, 0, 20, 6]])
    on_second = on_first - torch.tensor([float(strips[1].start), 0, 0, 0])

    boxes, labels = joined_boxes(strips, iter([(on_first, ["a", "b"]), (on_second, ["a", "b"])]))

    assert strips[1].start == edge - OVERLAP
    assert labels == ["b", "a"]
    assert boxes.tolist() == [[edge - 50.0, 0, 20, 6], [edge - 8.0, 0, 20, 6]]
