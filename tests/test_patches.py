"""Cutting and joining must not show: the joined map is the map of the uncut page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fumikura.core.archives.images import decode
from fumikura.core.recognition.models.checkpoint import load_segmenter
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.recognition.patches import Grid, cut, join, map_pages
from fumikura.core.recognition.recipe import Parameters, find_weights


@given(height=st.integers(1, 300), width=st.integers(1, 300))
@settings(deadline=None, max_examples=60)
def test_cut_then_join_gives_the_page_back(height: int, width: int) -> None:
    page = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    grid = Grid(height, width, side=96, halo=16, stride=16)

    joined = join(cut(page, grid), grid)

    assert torch.equal(joined, page)


def test_patches_are_no_longer_than_it_takes() -> None:
    grid = Grid(height=1280, width=960, side=512, halo=32, stride=32)

    # Down: three times 480 less two overlaps of 64 are 1312; three times 448 would be too few, 1216.
    # Across: two times 512 less one overlap are 960.
    assert grid.shape == (480, 512)
    assert grid.corners == [(y, x) for y in (0, 416, 832) for x in (0, 448)]


def test_a_page_no_longer_than_a_patch_is_computed_once() -> None:
    grid = Grid(height=1280, width=963, side=1280, halo=64, stride=32)

    assert (grid.shape, grid.corners) == ((1280, 992), [(0, 0)])


def test_pages_of_one_shape_share_a_batch_and_come_back_in_order() -> None:
    pages = [torch.full((3, height, 40), number) for number, height in enumerate((60, 90, 64))]
    seen = []

    def maps_of(patches: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(patches.shape))
        return patches[:, :1].float()

    maps = map_pages(pages, maps_of, side=128, halo=0, stride=32)

    assert seen == [(2, 3, 64, 64), (1, 3, 96, 64)]
    assert [(tuple(page.shape), float(page.min()), float(page.max())) for page in maps] == [
        ((1, 60, 40), 0.0, 0.0),
        ((1, 90, 40), 1.0, 1.0),
        ((1, 64, 40), 2.0, 2.0),
    ]


def test_a_page_smaller_than_a_patch_is_one_patch_with_its_edge_repeated() -> None:
    page = torch.tensor([[[10, 20], [30, 40]]], dtype=torch.uint8)

    patches = cut(page, Grid(height=2, width=2, side=32, halo=0, stride=32))

    assert patches.shape == (1, 1, 32, 32)
    assert patches[0, 0, -1, -1] == 40
    assert patches[0, 0, 0, -1] == 20


def test_only_the_inside_of_a_patch_is_kept() -> None:
    grid = Grid(height=64, width=160, side=64, halo=16, stride=16)
    numbered = torch.stack([torch.full((1, 64, 64), float(number)) for number in range(len(grid.corners))])

    joined = join(numbered, grid)

    # Steps of 32: a patch begins to count 16 pixels after its own left edge.
    assert joined[0, 0].tolist() == [0.0] * 48 + [1.0] * 32 + [2.0] * 32 + [3.0] * 48


@pytest.mark.slow
def test_a_halo_over_the_receptive_field_gives_the_map_of_the_uncut_page() -> None:
    torch.manual_seed(0)
    model = UNet(UNetConfig(widths=(4, 8), bottleneck=8)).eval()
    page = torch.rand(3, 384, 320)
    # Each level of two 3x3 convolutions reaches 2 pixels of its own resolution, down and up again:
    # 2 * (2 + 4) + 8 = 20 pixels, and 4 for the pooling grid; 32 is the next multiple of 16.
    grid = Grid(384, 320, side=128, halo=32, stride=16)

    with torch.inference_mode():
        whole = model(page[None])[0]
        joined = join(model(cut(page, grid)), grid)

    # Beyond the page the two see different things: zeros around the whole, the repeated edge in patches.
    assert torch.allclose(joined[:, :352, :288], whole[:, :352, :288], atol=1e-5)


@pytest.mark.slow
def test_seams_do_not_show_in_what_the_shipped_weights_say() -> None:
    model, config = load_segmenter(find_weights("segmenter", None))
    parameters = Parameters()
    sample = Path(__file__).parents[1] / "samples" / "drawn_001.jpg"
    image = decode(sample.read_bytes(), long_side=parameters.long_side, max_pixels=10**8)
    page = torch.from_numpy(image.pixels).permute(2, 0, 1)
    uncut = Grid(page.shape[1], page.shape[2], side=parameters.long_side, halo=0, stride=config.stride)
    grid = Grid(page.shape[1], page.shape[2], side=704, halo=parameters.halo, stride=config.stride)

    with torch.inference_mode():
        whole, joined = (join(model(cut(page, one).float() / 255), one)[0].sigmoid() for one in (uncut, grid))

    differs = (whole > config.mask_threshold) != (joined > config.mask_threshold)
    assert len(grid.corners) == 4
    assert whole.gt(config.mask_threshold).float().mean() > 0.05
    assert differs.float().mean() < 1e-3
