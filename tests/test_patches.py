"""Cutting and joining must not show: the joined map is the map of the uncut page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images import decode
from core.models.checkpoint import load_segmenter
from core.models.unet import UNet, UNetConfig
from core.patches import Grid, cut, join
from core.recipe import Parameters, find_weights


@given(height=st.integers(1, 300), width=st.integers(1, 300))
@settings(deadline=None, max_examples=60)
def test_cut_then_join_gives_the_page_back(height: int, width: int) -> None:
    page = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    grid = Grid(height, width, side=96, halo=16)

    joined = join(cut(page, grid), grid)

    assert torch.equal(joined, page)


def test_patches_start_at_multiples_of_the_step() -> None:
    grid = Grid(height=1280, width=960, side=512, halo=32)

    assert grid.corners == [(0, 0), (0, 448), (448, 0), (448, 448), (896, 0), (896, 448)]


def test_a_page_smaller_than_a_patch_is_one_patch_with_its_edge_repeated() -> None:
    page = torch.tensor([[[10, 20], [30, 40]]], dtype=torch.uint8)

    patches = cut(page, Grid(height=2, width=2, side=32, halo=0))

    assert patches.shape == (1, 1, 32, 32)
    assert patches[0, 0, -1, -1] == 40
    assert patches[0, 0, 0, -1] == 20


def test_only_the_inside_of_a_patch_is_kept() -> None:
    grid = Grid(height=64, width=160, side=64, halo=16)
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
    grid = Grid(384, 320, side=128, halo=32)

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
    uncut = Grid(page.shape[1], page.shape[2], side=parameters.long_side, halo=0)
    grid = Grid(page.shape[1], page.shape[2], side=parameters.patch_side, halo=parameters.halo)

    with torch.inference_mode():
        whole, joined = (join(model(cut(page, one).float() / 255), one)[0].sigmoid() for one in (uncut, grid))

    differs = (whole > config.mask_threshold) != (joined > config.mask_threshold)
    assert len(grid.corners) == 4
    assert whole.gt(config.mask_threshold).float().mean() > 0.05
    assert differs.float().mean() < 1e-3
