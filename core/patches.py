"""Cut pages into patches for the network, and join what the network says of them.

A patch overlaps its neighbours by a halo. Only the inside of a patch is kept, so that no pixel of
the page is judged from half its surroundings: the joined map equals that of the uncut page.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the patches of one page lie.

    Attributes:
        height: of the page at working resolution.
        width: likewise.
        side: P, of a patch; a multiple of the network's stride.
        halo: pixels of each patch edge that are dropped inside the page; a multiple of the network's stride.
    """

    height: int
    width: int
    side: int
    halo: int

    @property
    def corners(self) -> list[tuple[int, int]]:
        """(y, x) of the top left of each patch, row by row."""
        return [
            (y, x)
            for y in _starts(self.height, self.side, self.halo)
            for x in _starts(self.width, self.side, self.halo)
        ]

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width that the patches cover; at least the page's."""
        return (
            max(y for y, _ in self.corners) + self.side,
            max(x for _, x in self.corners) + self.side,
        )


def cut(page: Tensor, grid: Grid) -> Tensor:
    """The patches (N, C, P, P) of a page (C, H, W), in the order of ``grid.corners``."""
    height, width = grid.padded
    # The edge is repeated rather than padded with white: a white border is an edge that no page has.
    padded = functional.pad(
        page[None].float(), (0, width - grid.width, 0, height - grid.height), mode="replicate"
    )[0].to(page.dtype)
    return torch.stack([padded[:, y : y + grid.side, x : x + grid.side] for y, x in grid.corners])


def join(patches: Tensor, grid: Grid) -> Tensor:
    """The map (C, H, W) of the page that patches (N, C, P, P) make together."""
    height, width = grid.padded
    joined = patches.new_empty(patches.shape[1], height, width)
    for patch, (y, x) in zip(patches, grid.corners, strict=True):
        top = grid.halo if y > 0 else 0
        left = grid.halo if x > 0 else 0
        # Later patches write over the halo that earlier ones left below and to the right of them.
        joined[:, y + top : y + grid.side, x + left : x + grid.side] = patch[:, top:, left:]
    return joined[:, : grid.height, : grid.width]


def _starts(length: int, side: int, halo: int) -> list[int]:
    step = side - 2 * halo
    # All starts are multiples of the step and so of 16: pooling then sees the same pixels together
    # in every patch as it would in the whole page.
    n_patches = 1 if length <= side else 1 + -(-(length - side) // step)
    return [number * step for number in range(n_patches)]
