"""Cut pages into patches for the network, and join what the network says of them.

A patch overlaps its neighbours by a halo. Only the inside of a patch is kept, so that no pixel of
the page is judged from half its surroundings: the joined map equals that of the uncut page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid says where the patches of a page lie: all of one shape, as few as do, little beyond the page.

    Attributes:
        height: of the page at working resolution.
        width: likewise.
        side: the longest that a patch may be; a multiple of the stride.
        halo: pixels of each patch edge that are dropped inside the page; a multiple of the stride.
        stride: of the network; sides and corners of patches are multiples of it, so that pooling sees the
            same pixels together in every patch as it would in the whole page.
    """

    height: int
    width: int
    side: int
    halo: int
    stride: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and width of each patch."""
        return self._length(self.height), self._length(self.width)

    @property
    def corners(self) -> list[tuple[int, int]]:
        """Return (y, x) of the top left of each patch, row by row."""
        y_step, x_step = (length - 2 * self.halo for length in self.shape)
        return [
            (row * y_step, column * x_step)
            for row in range(self._count(self.height))
            for column in range(self._count(self.width))
        ]

    def _count(self, page_length: int) -> int:
        """Count the patches one after another that cover a side of the page."""
        if page_length <= self.side:
            return 1
        return math.ceil((page_length - 2 * self.halo) / (self.side - 2 * self.halo))

    def _length(self, page_length: int) -> int:
        """Return the shortest length that so many patches can have."""
        n_patches = self._count(page_length)
        shared = (n_patches - 1) * 2 * self.halo
        return math.ceil((page_length + shared) / n_patches / self.stride) * self.stride


def map_pages(
    pages: Sequence[Tensor], maps_of: Callable[[Tensor], Tensor], *, side: int, halo: int, stride: int
) -> list[Tensor]:
    """Make the maps (4, H, W) of pages (3, H, W); patches of one shape share their batches.

    Args:
        maps_of: from patches (N, 3, P, Q) to maps (N, 4, P, Q).
        side: as in `Grid`; likewise halo and stride.
    """
    grids = [Grid(page.shape[1], page.shape[2], side, halo, stride) for page in pages]
    joined: dict[int, Tensor] = {}
    for shape in dict.fromkeys(grid.shape for grid in grids):
        alike = [number for number, grid in enumerate(grids) if grid.shape == shape]
        patches = [cut(pages[number], grids[number]) for number in alike]
        maps = torch.split(maps_of(torch.cat(patches)), [len(page_patches) for page_patches in patches])
        joined |= {
            number: join(page_maps, grids[number]) for number, page_maps in zip(alike, maps, strict=True)
        }
    return [joined[number] for number in range(len(pages))]


def cut(page: Tensor, grid: Grid) -> Tensor:
    """Cut a page (C, H, W) into patches (N, C, P, Q), in the order of ``grid.corners``."""
    height, width = _covered(grid)
    # The edge is repeated rather than padded with white: a white border is an edge that no page has.
    # (By hand, since torch repeats no edges of whole numbers.)
    right = page[:, :, -1:].expand(-1, -1, width - grid.width)
    padded = torch.cat([page, right], dim=2)
    below = padded[:, -1:].expand(-1, height - grid.height, -1)
    padded = torch.cat([padded, below], dim=1)
    patch_height, patch_width = grid.shape
    return torch.stack([padded[:, y : y + patch_height, x : x + patch_width] for y, x in grid.corners])


def join(patches: Tensor, grid: Grid) -> Tensor:
    """Join patches (N, C, P, Q) into the map (C, H, W) of the page."""
    if len(patches) == 1:
        return patches[0, :, : grid.height, : grid.width]
    patch_height, patch_width = grid.shape
    joined = patches.new_empty(patches.shape[1], *_covered(grid))
    for patch, (y, x) in zip(patches, grid.corners, strict=True):
        top = grid.halo if y > 0 else 0
        left = grid.halo if x > 0 else 0
        # Later patches write over the halo that earlier ones left below and to the right of them.
        joined[:, y + top : y + patch_height, x + left : x + patch_width] = patch[:, top:, left:]
    return joined[:, : grid.height, : grid.width]


def _covered(grid: Grid) -> tuple[int, int]:
    """Return the height and width that the patches cover; at least the page's."""
    last_y, last_x = grid.corners[-1]
    return last_y + grid.shape[0], last_x + grid.shape[1]
