"""This module cuts long views, such as scrolls, into strips that fit into memory, and joins what is found.

Strips overlap; what is found counts on the strip in whose own part its middle lies. Pages are one strip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Labels = TypeVar("Labels")

#: Pixels of a view's side that are read at once at most, and by which strips overlap at each end: more than
#: a character, and than the networks see around it.
LONGEST = 6144
OVERLAP = 192


@dataclass(frozen=True, slots=True)
class Strip:
    """A strip is a part of a view, along its longer side.

    Attributes:
        pixels: uint8 (H, W, 3), with the overlap.
        start: of the pixels along the axis, in the view.
        first: where its own part begins, and the one before ends.
        last: likewise its end.
        axis: 0 along the height, 1 along the width.
    """

    pixels: NDArray[np.uint8]
    start: int
    first: int
    last: int
    axis: int


def strips_of(pixels: NDArray[np.uint8]) -> list[Strip]:
    """Cut a view (H, W, 3) into strips of one length, as few as do."""
    axis = int(pixels.shape[1] > pixels.shape[0])
    length = pixels.shape[axis]
    n_strips = -(-length // LONGEST)
    edges = [round(length * number / n_strips) for number in range(n_strips + 1)]
    strips = []
    for first, last in pairwise(edges):
        start, end = max(0, first - OVERLAP), min(length, last + OVERLAP)
        part = pixels[start:end] if axis == 0 else pixels[:, start:end]
        strips.append(Strip(np.ascontiguousarray(part), start, first, last, axis))
    return strips


def joined_boxes(
    strips: Sequence[Strip], found: Iterator[tuple[Tensor, list[Labels]]]
) -> tuple[Tensor, list[Labels]]:
    """Take what was found on each strip, boxes (M, 4) and their labels, and give what was on the view."""
    all_boxes, all_labels = [], []
    for strip in strips:
        boxes, labels = next(found)
        if len(strips) > 1:
            along = 1 - strip.axis
            boxes = boxes.clone()
            boxes[:, along] += strip.start
            middles = boxes[:, along] + boxes[:, along + 2] / 2
            kept = ((middles >= strip.first) & (middles < strip.last)).nonzero()[:, 0].tolist()
            boxes, labels = boxes[kept], [labels[number] for number in kept]
        all_boxes.append(boxes)
        all_labels += labels
    return torch.cat(all_boxes), all_labels


def joined_masks(strips: Sequence[Strip], masks: Iterator[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Take the mask (H, W) of each strip, and give that of the view."""
    own = []
    for strip in strips:
        part = slice(strip.first - strip.start, strip.last - strip.start)
        mask = next(masks)
        own.append(mask[part] if strip.axis == 0 else mask[:, part])
    return own[0] if len(own) == 1 else np.concatenate(own, axis=strips[0].axis)
