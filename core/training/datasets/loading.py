"""This module loads data sets from disk: characters with their classes, and patches with their masks.

Reads what `fumikura prepare` writes, and the published forms of Kuzushiji-MNIST, Kuzushiji-49 and
Kuzushiji-Kanji (github.com/rois-codh/kmnist, doi:10.20676/00000341); docs/data_sets.md tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.errors import DataSetError
from fumikura.core.training.datasets.image_folders import read_image, read_kanji_folders, read_label_folders
from fumikura.core.training.datasets.kmnist import find_published, read_published
from fumikura.core.training.datasets.splits import Split


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """This is one split of a data set of single characters.

    Attributes:
        images: uint8 (N, S, S) grey or (N, S, S, 3) RGB.
        targets: int64 (N,), the class of each.
        labels: of the classes; the same in both splits.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatchSet:
    """This is one split of a data set of patches with their masks.

    Attributes:
        images: uint8 (N, P, P, 3).
        masks: bool (N, P, P).
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def load_character_set(path: Path, split: Split) -> CharacterSet:
    """Load one split of a data set of characters, whichever of the known forms it has.

    Args:
        path: `kmnist.npz`; or a folder with this file, with the published files of Kuzushiji-MNIST or
            Kuzushiji-49, with `train/LABEL/` and `test/LABEL/`, or with a folder for each code point.

    Raises:
        DataSetError: none of these forms, damaged, or a class without an image to learn from.
    """
    published = find_published(path)
    if published is not None:
        images, targets, labels = read_published(published, split)
    elif (path / "train").is_dir():
        images, targets, labels = read_label_folders(path, split)
    elif any(path.glob("U+*")):
        images, targets, labels = read_kanji_folders(path, split)
    else:
        raise DataSetError(
            f"{path} holds no known data set of characters: neither Kuzushiji-MNIST nor Kuzushiji-49,"
            " nor folders train/LABEL, nor a folder for each code point (U+XXXX); correct the path"
        )
    _check_classes(path, split, targets, labels)
    return CharacterSet(images, targets, labels)


def _check_classes(path: Path, split: Split, targets: NDArray[np.int64], labels: Sequence[str]) -> None:
    if len(targets) and not 0 <= targets.min() <= targets.max() < len(labels):
        raise DataSetError(
            f"{path}: class {targets.max()} of the {split} split has no label, there are {len(labels)};"
            " is its class map another data set's?"
        )
    counts = np.bincount(targets, minlength=len(labels))
    if split == "train" and not counts.all():
        empty = [label for label, count in zip(labels, counts, strict=True) if not count]
        raise DataSetError(
            f"{path}: no image to learn {' '.join(empty[:10])} from ({len(empty)} of {len(labels)} classes);"
            " add images, or leave these classes out"
        )


def load_patch_set(path: Path, split: Split) -> PatchSet:
    """Load one split of what `fumikura prepare patches` or `pages` wrote.

    Raises:
        DataSetError: an image lacks its mask, has another size than it or than the others, or is damaged.
    """
    paths = sorted((path / split / "images").glob("*.png"))
    if not paths:
        raise DataSetError(f"{path} has no images in {split}/images; make it with `fumikura prepare patches`")
    side = read_image(paths[0]).width
    images = np.empty((len(paths), side, side, 3), np.uint8)
    masks = np.empty((len(paths), side, side), bool)
    for number, image_path in enumerate(paths):
        mask_path = path / split / "masks" / image_path.name
        for file, mode, place in ((image_path, "RGB", images), (mask_path, "L", masks)):
            image = read_image(file)
            if image.size != (side, side):
                raise DataSetError(_wrong_size(file, image, side))
            pixels = np.asarray(image.convert(mode))
            place[number] = pixels if mode == "RGB" else pixels >= 128
    return PatchSet(images, masks)


def _wrong_size(path: Path, image: Image.Image, side: int) -> str:
    return (
        f"{path} has {image.width} × {image.height} pixels, where images and masks have {side} × {side};"
        " make the data set again"
    )
