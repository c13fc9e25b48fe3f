"""This module names images of single characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fumikura.core.archives.images import decode
from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError
from fumikura.core.page import PageReference
from fumikura.core.recognition.crops import crop_corners
from fumikura.core.recognition.models.inference import CROPS_AT_ONCE, likeliest
from fumikura.core.recognition.models.loaded import LoadedClassifier
from fumikura.core.settings import Settings

#: A し may be a few pixels wide, where a page of that size would be none.
_MIN_SIDE = 3


@dataclass(frozen=True, slots=True)
class NamedImage:
    """This is an image and what a classifier reads it as.

    Attributes:
        labels: the likeliest with their probabilities, best first; empty if there is an error.
        error: why the image could not be read.
    """

    reference: PageReference
    labels: tuple[tuple[str, float], ...] = ()
    error: str | None = None


def name_images(
    classifier: LoadedClassifier,
    references: Sequence[PageReference],
    *,
    settings: Settings,
    device: str,
    n_labels: int,
    is_inverted: bool = False,
) -> Iterator[NamedImage]:
    """Name some images; yield their labels in the same order.

    Args:
        settings: what an image file may claim.
        is_inverted: turn dark into light first, and light into dark.
    """
    for first in range(0, len(references), CROPS_AT_ONCE):
        some = references[first : first + CROPS_AT_ONCE]
        crops: list[Tensor] = []
        errors: list[str | None] = []
        for reference in some:
            try:
                pixels = _load(reference, settings)
            except PageError as error:
                errors.append(str(error))
            else:
                errors.append(None)
                crops.append(classifier.crops_of((255 - pixels if is_inverted else pixels)[None]))
        labels = iter(_label(classifier, crops, device=device, n_labels=n_labels))
        for reference, problem in zip(some, errors, strict=True):
            yield NamedImage(reference, next(labels) if problem is None else (), problem)


def _label(
    classifier: LoadedClassifier, crops: Sequence[Tensor], *, device: str, n_labels: int
) -> list[tuple[tuple[str, float], ...]]:
    if not crops:
        return []
    best = likeliest(classifier, [torch.cat(list(crops))], device=device, n_labels=n_labels)
    return [
        tuple((classifier.labels[number], float(confidence)) for confidence, number in zip(*row, strict=True))
        for row in zip(*best, strict=True)
    ]


def _load(reference: PageReference, settings: Settings) -> NDArray[np.uint8]:
    at = reference
    data = read_member(at.archive, at.member, digest=at.digest, limits=settings.limits)
    image = decode(data, long_side=None, max_pixels=settings.max_pixels, min_side=_MIN_SIDE)
    return with_surroundings(image.pixels)


def with_surroundings(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give a character's image (H, W, 3) the margin that the reader leaves around its box.

    A square is taken as it is: data sets hold squares, cut with a margin. Other images are
    taken for boxes that were cut out without one, and get it in the colour of their rim.
    Classifiers stretch what comes out to a square, as the reader does.
    """
    height, width = pixels.shape[:2]
    if height == width:
        return pixels
    corners = crop_corners(torch.tensor([[0.0, 0.0, width, height]]))[0]
    left, top = (-corners[:2]).round().int().tolist()
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    page = np.empty((height + 2 * top, width + 2 * left, 3), np.uint8)
    page[:] = np.median(rim, axis=0)
    page[top : top + height, left : left + width] = pixels
    return page
