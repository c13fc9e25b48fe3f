"""This module makes banks of character images: cut from real pages, here or by others, or drawn from fonts.

All are kept the same way, so that one distortion serves both: darkness (ink 255, paper 0) of
BANK_SIDE x BANK_SIDE pixels, of which the middle CROP_SIDE x CROP_SIDE is what the reader would
cut out (core/recognition/crops.py) and the rest its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fumikura.core.errors import DataSetError
from fumikura.core.folding import fold
from fumikura.core.recognition.crops import box_shapes, crop_corners, cut_crops
from fumikura.core.recognition.models.loaded import with_channels
from fumikura.core.training.datasets.loading import CharacterSet
from fumikura.core.training.datasets.training_pages import TrainingPage
from fumikura.core.training.drawing.fonts import GlyphFont, glyph_ink, variants
from fumikura.core.vocabulary import Vocabulary

CROP_SIDE = 64
BANK_SIDE = 96
#: Darker pixels (0 to 255) of what others cut out are the character, and not a smear at its edge.
_INK = 96


@dataclass(frozen=True, slots=True)
class CropBank:
    """A bank holds character images and their classes.

    Attributes:
        images: uint8 (N, 1, 96, 96), darkness.
        numbers: (N,) class of each.
        shapes: (N, 2) of each box: log of width over height, and of its height over the median height
            of the page's boxes; nan where nobody knows.
    """

    images: Tensor
    numbers: Tensor
    shapes: Tensor

    def __len__(self) -> int:
        return len(self.numbers)


def bank_of_crops(pages: Sequence[TrainingPage], vocabulary: Vocabulary) -> CropBank:
    """Cut out all boxes of some pages whose folded label is a class."""
    images, numbers = [torch.empty(0, 1, BANK_SIDE, BANK_SIDE, dtype=torch.uint8)], []
    shapes = [torch.empty(0, 2)]
    for page in pages:
        labels = [fold(label) for label in page.labels]
        known = [index for index, label in enumerate(labels) if label in vocabulary]
        if not known:
            continue
        boxes = torch.from_numpy(page.boxes[known])
        crops = cut_crops([page.pixels], [_with_surroundings(boxes)], side=BANK_SIDE)
        images.append(_darkness(crops))
        shapes.append(box_shapes(torch.from_numpy(page.boxes))[known])
        numbers += [vocabulary.number(labels[index]) for index in known]
    return CropBank(torch.cat(images), torch.tensor(numbers, dtype=torch.long), torch.cat(shapes))


def bank_of_characters(data: CharacterSet, vocabulary: Vocabulary) -> CropBank:
    """Take all images of a data set, whose folded labels are classes, stretched as the reader would."""
    classes = np.array([vocabulary.number(fold(label)) for label in data.labels])
    pixels = with_channels(data.images, 1).float()
    darkness = _darkness(pixels if data.images.mean() > 127 else 255 - pixels)[:, 0].numpy()
    return character_bank([_trimmed(image) for image in darkness], torch.from_numpy(classes[data.targets]))


def bank_of_glyphs(fonts: Sequence[GlyphFont], vocabulary: Vocabulary) -> CropBank:
    """Draw every form in which every font draws every label.

    Raises:
        DataSetError: there is none.
    """
    glyphs, numbers = [], []
    for number, label in enumerate(vocabulary.labels):
        for font in fonts:
            for character in variants(font, label):
                glyphs.append(glyph_ink(font, character, CROP_SIDE))
                numbers.append(number)
    if not glyphs:
        raise DataSetError("these fonts draw no character of the texts; name other fonts, or other texts")
    return character_bank(glyphs, torch.tensor(numbers, dtype=torch.long))


def character_bank(inks: Sequence[NDArray[np.uint8]], numbers: Tensor) -> CropBank:
    """Make a bank of ink (H, W) that stands alone; how large it would be on a page nobody knows."""
    images = torch.from_numpy(np.stack([_as_cut(ink) for ink in inks]))[:, None]
    aspects = torch.tensor([ink.shape[1] / ink.shape[0] for ink in inks]).log()
    return CropBank(images, numbers, torch.stack([aspects, torch.full_like(aspects, torch.nan)], dim=1))


def joined(banks: Sequence[CropBank]) -> CropBank:
    """Join some banks to one."""
    parts = zip(*((bank.images, bank.numbers, bank.shapes) for bank in banks), strict=True)
    return CropBank(*(torch.cat(part) for part in parts))


def drawable(fonts: Sequence[GlyphFont], labels: Iterable[str]) -> set[str]:
    """Choose the labels that at least one of the fonts draws."""
    return {label for label in labels if any(variants(font, label) for font in fonts)}


def _darkness(crops: Tensor) -> Tensor:
    """Turn crops (N, 1, H, W) of dark ink into uint8, ink 255 and paper 0."""
    # Nine of ten pixels are not brighter than the paper; the darkest of a hundred are ink.
    levels = crops.flatten(1).quantile(torch.tensor([0.01, 0.9]), dim=1)[:, :, None, None, None]
    ink, paper = levels
    darkness: Tensor = 255 * (paper - crops) / (paper - ink + 1)
    return darkness.clamp(0, 255).to(torch.uint8)


def _trimmed(darkness: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut an image (H, W) down to its ink; an image without ink remains."""
    rows, columns = np.nonzero(darkness > _INK)
    if not len(rows):
        return darkness
    return darkness[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _with_surroundings(boxes: Tensor) -> Tensor:
    """Enlarge boxes so that their crop is BANK_SIDE / CROP_SIDE times the crop of the given ones."""
    corners = crop_corners(boxes)
    centre, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    # The wanted cut already has the crop's aspect and margin, so both are taken off again.
    wanted = size * BANK_SIDE / CROP_SIDE / _margin()
    return torch.cat([centre - wanted / 2, wanted], dim=1)


def _margin() -> float:
    left, _, right, _ = crop_corners(torch.tensor([[0.0, 0.0, 1.0, 1.0]]))[0].tolist()
    return float(right - left)


def _as_cut(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put ink (H, W) of a glyph where the reader would cut it: (96, 96)."""
    height, width = ink.shape
    left, top, right, bottom = crop_corners(torch.tensor([[0.0, 0.0, width, height]]))[0].tolist()
    new_width = max(1, round(width * CROP_SIDE / (right - left)))
    new_height = max(1, round(height * CROP_SIDE / (bottom - top)))
    resized = Image.fromarray(ink).resize((new_width, new_height), Image.Resampling.BILINEAR)
    square = np.zeros((BANK_SIDE, BANK_SIDE), np.uint8)
    y, x = (BANK_SIDE - new_height) // 2, (BANK_SIDE - new_width) // 2
    square[y : y + new_height, x : x + new_width] = np.asarray(resized)
    return square
