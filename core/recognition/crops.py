"""This module finds boxes in score maps, and cuts crops for the classifier from boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_area, roi_align

#: Of two boxes that share more than this of the smaller one, the less sure is a part of a
#: character, not a character. (The usual intersection over union lets such parts pass.)
MAX_OVERLAP = 0.5
_PAGE_PIXELS = 1216 * 1216
#: More are not on so many pixels of any page; what gives more is noise, and must not cost the run its memory.
MAX_CHARACTERS = 4000
_BOXES_AT_ONCE = 512
#: The crop is the box and this much of its surroundings.
MARGIN = 1.15
#: The crop's short side is at least this much of its long side: a thin し must not become a blot.
MIN_ASPECT = 0.6


def find_boxes(maps: Tensor, *, peak_threshold: float) -> Tensor:
    """Find boxes (M, 4) as x, y, width, height in working pixels, at the peaks of the centre map.

    Args:
        maps: (4, H, W): mask and centre in [0, 1], log width, log height.
        peak_threshold: lower peaks are no characters.
    """
    centre = maps[1].float()
    most = max(MAX_CHARACTERS, MAX_CHARACTERS * centre.numel() // _PAGE_PIXELS)
    is_peak = (centre == _highest_around(centre)) & (centre > peak_threshold)
    y, x = torch.nonzero(is_peak, as_tuple=True)
    surest = centre[y, x].argsort(descending=True, stable=True)[:most]
    y, x = y[surest], x[surest]
    width, height = maps[2:, y, x].float().clamp(max=math.log(max(centre.shape))).exp()
    corners = torch.stack([x + 0.5 - width / 2, y + 0.5 - height / 2], dim=1)
    size = torch.stack([width, height], dim=1)
    is_part = _shared_with_surer(torch.cat([corners, corners + size], dim=1)) > MAX_OVERLAP
    return torch.cat([corners, size], dim=1)[~is_part]


def _highest_around(scores: Tensor) -> Tensor:
    """Give each pixel of a map (H, W) the highest score of the 5 x 5 pixels around it."""
    # Rows, then columns: on a CPU a pooling of squares takes a hundred times as long.
    for _ in range(2):
        scores = functional.max_pool1d(scores, kernel_size=5, stride=1, padding=2).T
    return scores


def _shared_with_surer(boxes: Tensor) -> Tensor:
    """Find the largest share of each box with an earlier one.

    Args:
        boxes: (M, 4) as left, top, right, bottom, surest first.

    Returns:
        (M,) in [0, 1]: the intersection over the smaller of the two areas.
    """
    areas = box_area(boxes)
    shared = [areas.new_zeros(0)]  # for pages without boxes
    # Not all at once: noise has thousands of boxes, and their pairs would take half a gigabyte.
    for first in range(0, len(boxes), _BOXES_AT_ONCE):
        some = slice(first, first + _BOXES_AT_ONCE)
        top_left = torch.maximum(boxes[:, None, :2], boxes[None, some, :2])
        bottom_right = torch.minimum(boxes[:, None, 2:], boxes[None, some, 2:])
        intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)  # (M, some)
        shares = intersection / torch.minimum(areas[:, None], areas[None, some])
        # Above the diagonal: rows are surer than columns.
        shared.append(shares.triu(diagonal=1 - first).amax(dim=0))
    return torch.cat(shared)


def cut_crops(pages: Sequence[Tensor], boxes: Sequence[Tensor], *, side: int) -> Tensor:
    """Cut the crops (M, 1, S, S) of all boxes of all pages; beyond a page, its edge goes on.

    What a page's crops show depends on no other page.

    Args:
        pages: uint8 (3, H, W) each.
        boxes: (M, 4) each, as x, y, width, height in pixels of the page.
        side: S.
    """
    corners = [crop_corners(page_boxes) for page_boxes in boxes]
    # Of all pages at once: each answer of a GPU is waited for.
    beyond = torch.stack([_beyond(page, rois) for page, rois in zip(pages, corners, strict=True)]).tolist()
    return torch.cat(
        [
            _cut(page, rois, side, beyond=page_beyond)
            for page, rois, page_beyond in zip(pages, corners, beyond, strict=True)
        ]
    )


def _beyond(page: Tensor, rois: Tensor) -> Tensor:
    """Count the pixels (4,) by which some crop goes beyond a page (3, H, W): left, right, top, bottom."""
    if not len(rois):
        return rois.new_zeros(4)
    lowest, highest = rois[:, :2].amin(dim=0), rois[:, 2:].amax(dim=0)
    right, bottom = highest[0] - page.shape[2], highest[1] - page.shape[1]
    # No box on a page goes further; one of a data set that does shows nothing anyway.
    return torch.stack([-lowest[0], right, -lowest[1], bottom]).ceil().clamp(0, 2 * max(page.shape[1:]))


def _cut(page: Tensor, rois: Tensor, side: int, *, beyond: Sequence[float]) -> Tensor:
    """Cut the crops (M, 1, S, S) of one page (3, H, W)."""
    # The red channel alone: vermilion seals nearly vanish in it, ink is as dark as in the others.
    # Its edge is repeated, since what lies beyond is 0 to `roi_align`: black, as ink is.
    left, right, top, bottom = map(int, beyond)
    red = functional.pad(page[None, :1].float(), (left, right, top, bottom), mode="replicate")
    moved = rois + rois.new_tensor([left, top, left, top])
    crops: Tensor = roi_align(red, [moved], output_size=side, sampling_ratio=2, aligned=True)
    return crops


def crop_corners(boxes: Tensor) -> Tensor:
    """Return what is cut out around boxes (M, 4): left, top, right, bottom (M, 4)."""
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    size = torch.maximum(boxes[:, 2:], MIN_ASPECT * boxes[:, 2:].flip(1)) * MARGIN
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)


def box_shapes(boxes: Tensor) -> Tensor:
    """Describe the boxes (M, 4) of one page, which its square crops do not tell.

    Returns:
        (M, 2): log of width over height, and of the height over the median height of them all.
    """
    width, height = boxes[:, 2], boxes[:, 3]
    return torch.stack([width / height, height / height.median() if len(boxes) else height], dim=1).log()


def outlines(shapes: Tensor) -> Tensor:
    """Say how much of its crop a box fills: (M, 2), its width and height in sides of the crop."""
    aspect = shapes[:, :1].exp()
    sides = torch.cat([aspect, torch.ones_like(aspect)], dim=1)
    return sides / (torch.maximum(sides, MIN_ASPECT * sides.flip(1)) * MARGIN)


def moved_boxes(boxes: Tensor, corners: Tensor) -> Tensor:
    """Turn corners in [-1, 1] of the crops of some boxes (M, 4) into boxes of the page, likewise.

    Args:
        corners: (M, 4) as left, top, right, bottom.
    """
    cut = crop_corners(boxes)
    centre, half = (cut[:, :2] + cut[:, 2:]) / 2, (cut[:, 2:] - cut[:, :2]) / 2
    found = centre.repeat(1, 2) + corners * half.repeat(1, 2)
    size = (found[:, 2:] - found[:, :2]).clamp(min=1.0)
    return torch.cat([(found[:, :2] + found[:, 2:] - size) / 2, size], dim=1)
