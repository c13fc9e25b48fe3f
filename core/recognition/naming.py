"""This module names the characters in found boxes, and looks a second time where it is unsure."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fumikura.core.recognition.crops import box_shapes, cut_crops, moved_boxes, outlines
from fumikura.core.recognition.models.inference import Classifier

#: A label that is as likely as this is not looked at again.
SURE = 0.9
#: A crop whose box turns out to be off by more than this, in half sides of the crop, is cut again.
OFF = 0.12


def name_boxes(
    classifier: Classifier, pages: Sequence[Tensor], boxes: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Say how likely each label is in each box of some pages, and where the boxes had better be.

    A classifier that finds boxes is shown those crops again, cut by its own boxes, of which it was unsure
    or which were off; the mean of both looks counts.

    Args:
        pages: uint8 (3, H, W) each.
        boxes: (M, 4) each, as x, y, width, height in pixels of the page.

    Returns:
        probabilities (M, C) of each page, and boxes (M, 4) of each page.
    """
    n_boxes = [len(page_boxes) for page_boxes in boxes]
    shapes = [box_shapes(page_boxes) for page_boxes in boxes]
    side = classifier.config.crop_side
    likely, corners = classifier.look(cut_crops(pages, boxes, side=side), torch.cat(shapes))
    if not classifier.config.finds_boxes:
        return list(torch.split(likely, n_boxes)), list(boxes)
    old = torch.cat(list(boxes))
    better = moved_boxes(old, corners.float().to(old.device))
    wrong = (corners - expected_corners(torch.cat(shapes)).to(corners.device)).abs().amax(dim=1)
    again = (likely.amax(dim=1) < SURE) | (wrong > OFF)
    chosen = [rows.nonzero()[:, 0] for rows in torch.split(again, n_boxes)]
    moved = list(torch.split(better, n_boxes))
    # The sizes of all its boxes are what a page's shapes are measured against.
    told = [box_shapes(page_boxes)[rows] for page_boxes, rows in zip(moved, chosen, strict=True)]
    second = [page_boxes[rows] for page_boxes, rows in zip(moved, chosen, strict=True)]
    likely[again] = (
        likely[again] + classifier.look(cut_crops(pages, second, side=side), torch.cat(told))[0]
    ) / 2
    return list(torch.split(likely, n_boxes)), moved


def expected_corners(shapes: Tensor) -> Tensor:
    """Give the corners (M, 4) that boxes of these shapes have in crops that were cut by them."""
    half = outlines(shapes)
    return torch.cat([-half, half], dim=1)
