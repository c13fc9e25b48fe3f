"""Peaks become boxes, boxes become crops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fumikura.core.recognition import crops
from fumikura.core.recognition.crops import (
    box_shapes,
    crop_corners,
    cut_crops,
    find_boxes,
    moved_boxes,
    outlines,
)


def maps_with_peaks(*peaks: tuple[int, int, float, float, float]) -> torch.Tensor:
    """Maps (4, 64, 64) with (y, x, height of the peak, width, height) of some characters."""
    maps = torch.zeros(4, 64, 64)
    for y, x, score, width, height in peaks:
        maps[1, y, x] = score
        maps[2, y, x], maps[3, y, x] = math.log(width), math.log(height)
    return maps


def test_a_peak_becomes_a_box_of_the_size_written_there() -> None:
    boxes = find_boxes(maps_with_peaks((30, 20, 0.9, 10.0, 14.0)), peak_threshold=0.3)

    assert boxes[0].tolist() == pytest.approx([15.5, 23.5, 10, 14], abs=1e-4)


def test_low_peaks_are_no_characters() -> None:
    assert len(find_boxes(maps_with_peaks((30, 20, 0.2, 10.0, 10.0)), peak_threshold=0.3)) == 0


def test_of_two_boxes_in_one_place_the_surer_stays() -> None:
    maps = maps_with_peaks((30, 20, 0.6, 20.0, 20.0), (34, 20, 0.9, 20.0, 20.0))

    boxes = find_boxes(maps, peak_threshold=0.3)

    assert boxes.tolist() == [pytest.approx([10.5, 24.5, 20, 20], abs=1e-4)]


def test_a_part_of_a_character_is_no_character() -> None:
    # The small box shares all of itself with the large one, which is but a tenth of their union.
    maps = maps_with_peaks((30, 30, 0.9, 40.0, 40.0), (40, 40, 0.8, 12.0, 12.0))

    boxes = find_boxes(maps, peak_threshold=0.3)

    assert boxes.tolist() == [pytest.approx([10.5, 10.5, 40, 40], abs=1e-4)]


def test_noise_gives_no_more_boxes_than_a_page_can_hold() -> None:
    maps = torch.full((4, 400, 400), 0.5)  # every pixel is a peak as high as its neighbours
    maps[1, 7, 9] = 0.9
    maps[2:] = -3.0

    boxes = find_boxes(maps, peak_threshold=0.3)

    assert len(boxes) <= 4000
    side = math.exp(-3)
    assert boxes[0].tolist() == pytest.approx([9.5 - side / 2, 7.5 - side / 2, side, side], abs=1e-4)


def test_touching_characters_stay_two() -> None:
    maps = maps_with_peaks((20, 20, 0.9, 20.0, 20.0), (40, 20, 0.8, 20.0, 20.0))

    assert len(find_boxes(maps, peak_threshold=0.3)) == 2


def test_a_crop_shows_its_box_and_a_margin() -> None:
    page = torch.full((3, 100, 100), 200, dtype=torch.uint8)
    page[:, 40:60, 30:50] = 0

    crop = cut_crops([page], [torch.tensor([[30.0, 40.0, 20.0, 20.0]])], side=46)

    # 20 pixels and 15 % are 23: two crop pixels for one of the page, the ink 3 pixels from the edge.
    assert crop.shape == (1, 1, 46, 46)
    assert crop[0, 0, 5:41, 5:41].max() == 0
    assert crop[0, 0, 1].min() == 200


def test_a_thin_box_is_cut_with_paper_beside_it() -> None:
    left, top, right, bottom = crop_corners(torch.tensor([[10.0, 0.0, 2.0, 100.0]]))[0].tolist()

    assert bottom - top == pytest.approx(115)
    assert right - left == pytest.approx(0.6 * 115)
    assert (left + right) / 2 == pytest.approx(11)


def test_pages_of_different_sizes_share_one_call() -> None:
    pages = [torch.zeros(3, 50, 40, dtype=torch.uint8), torch.full((3, 30, 60), 9, dtype=torch.uint8)]
    boxes = [torch.tensor([[5.0, 5.0, 10.0, 10.0]] * 2), torch.tensor([[5.0, 5.0, 10.0, 10.0]])]

    crops = cut_crops(pages, boxes, side=8)

    assert crops.amax(dim=(1, 2, 3)).tolist() == [0, 0, 9]


def test_beyond_the_page_its_edge_goes_on() -> None:
    noise = torch.randint(0, 256, (3, 30, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    around = torch.from_numpy(np.pad(noise.numpy(), ((0, 0), (50, 50), (50, 50)), mode="edge"))
    boxes = torch.tensor(
        [
            [-4.0, -6.0, 20.0, 14.0],
            [30.0, 22.0, 16.0, 12.0],
            [0.0, 12.0, 3.0, 17.0],
            [-20.0, -20.0, 80.0, 70.0],
        ]
    )

    crops = cut_crops([noise], [boxes], side=16)

    assert torch.allclose(
        crops, cut_crops([around], [boxes + torch.tensor([50.0, 50, 0, 0])], side=16), atol=0.01
    )


def test_a_page_s_crops_are_the_same_whatever_pages_are_beside_it() -> None:
    white = torch.full((3, 30, 20), 255, dtype=torch.uint8)
    larger = torch.zeros(3, 50, 40, dtype=torch.uint8)
    boxes = torch.tensor([[15.0, 24.0, 8.0, 9.0], [5.0, 5.0, 10.0, 10.0]])

    together = cut_crops([white, larger], [boxes, boxes], side=16)

    assert torch.equal(together[:2], cut_crops([white], [boxes], side=16))
    assert together[:2].min() == 255


def test_red_seals_vanish_and_ink_stays() -> None:
    page = torch.full((3, 20, 20), 230, dtype=torch.uint8)
    page[:, :, :10] = torch.tensor([230, 40, 40], dtype=torch.uint8)[:, None, None]
    page[:, :, 15:] = 20

    crop = cut_crops([page], [torch.tensor([[2.0, 2.0, 16.0, 16.0]])], side=16)[0, 0]

    assert crop[:, :8].min() == 230
    assert crop[:, -1].max() < 40


def test_a_page_without_boxes_gives_no_crops() -> None:
    assert cut_crops([torch.zeros(3, 20, 20, dtype=torch.uint8)], [torch.empty(0, 4)], side=8).shape == (
        0,
        1,
        8,
        8,
    )


def test_overlaps_are_the_same_however_many_boxes_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corners = torch.rand(50, 2, generator=torch.Generator().manual_seed(3)) * 100
    boxes = torch.cat([corners, corners + 20], dim=1)

    at_once = crops._shared_with_surer(boxes)
    monkeypatch.setattr(crops, "_BOXES_AT_ONCE", 7)

    assert torch.equal(crops._shared_with_surer(boxes), at_once)
    assert at_once[0] == 0
    assert crops._shared_with_surer(boxes[:0]).shape == (0,)


def test_a_box_lies_in_its_crop_as_its_outline_says() -> None:
    boxes = torch.tensor([[10.0, 20.0, 30.0, 40.0], [5.0, 5.0, 4.0, 40.0], [0.0, 0.0, 50.0, 10.0]])
    half = outlines(box_shapes(boxes))

    same = moved_boxes(boxes, torch.cat([-half, half], dim=1))

    assert torch.allclose(same, boxes, atol=1e-4)


def test_the_shape_of_a_box_is_told_against_the_others_of_its_page() -> None:
    shapes = box_shapes(
        torch.tensor([[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 20.0, 10.0], [0.0, 0.0, 20.0, 40.0]])
    )

    assert torch.allclose(shapes[:, 0].exp(), torch.tensor([1.0, 2.0, 0.5]))
    assert torch.allclose(shapes[:, 1].exp(), torch.tensor([1.0, 0.5, 2.0]))
    assert box_shapes(torch.empty(0, 4)).shape == (0, 2)
