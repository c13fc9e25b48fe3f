"""This module reads folders of character images, a folder a label, with torchvision's ImageFolder."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import ImageFolder

from fumikura.core.archives.images import to_8_bits
from fumikura.core.errors import DataSetError, PageError
from fumikura.core.training.datasets.splits import Split

#: Kuzushiji-Kanji has no split of its own: one image of so many is for testing, as in Kuzushiji-MNIST.
TEST_EVERY = 7

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]


def read_label_folders(path: Path, split: Split) -> Arrays:
    """Read `train/LABEL/` or `test/LABEL/`; the classes are those of `train`, `test` may lack some."""
    labels = _labels(_samples(path / "train").classes, path)
    folder = _samples(path / split)
    numbers = {label: number for number, label in enumerate(labels)}
    here = _labels(folder.classes, path)
    if unknown := sorted(set(here) - set(labels)):
        raise DataSetError(
            f"{path}/test has {' '.join(unknown[:10])}, which train has not;"
            " add images of it to train, or take it out of test"
        )
    targets = [numbers[here[target]] for _, target in folder.samples]
    return _read_images([Path(name) for name, _ in folder.samples]), np.array(targets, np.int64), labels


def read_kanji_folders(path: Path, split: Split) -> Arrays:
    """Read `U+XXXX/`, split by file name, so that it comes out the same on every machine.

    Of each class, in the order of the SHA-256 of the file names, the first seventh is `test`. A class of
    fewer than seven images has all of them in `train`.
    """
    folder = _samples(path)
    paths: list[list[Path]] = [[] for _ in folder.classes]
    for name, target in folder.samples:
        paths[target].append(Path(name))
    chosen: list[tuple[Path, int]] = []
    for target, of_class in enumerate(paths):
        of_class.sort(key=lambda found: hashlib.sha256(found.name.encode()).digest())
        n_test = len(of_class) // TEST_EVERY
        some = of_class[:n_test] if split == "test" else of_class[n_test:]
        chosen += ((found, target) for found in some)
    targets = np.array([target for _, target in chosen], np.int64)
    return _read_images([found for found, _ in chosen]), targets, _labels(folder.classes, path)


def folder_name(label: str) -> str:
    """Name a label's folder: U+3042. Not every file system keeps あ and が as they are."""
    return f"U+{ord(label):04X}"


def read_image(path: Path) -> Image.Image:
    """Read and decode an image file: in mode L or RGB, transparent parts white.

    Raises:
        DataSetError: it is missing or damaged, or has 32 bits a pixel.
    """
    try:
        with Image.open(path) as image:
            image.load()
            shown = to_8_bits(image)
            return shown.convert("L") if image.mode == "LA" else shown
    except (PageError, OSError, SyntaxError, ValueError) as error:
        raise DataSetError(
            f"{path} cannot be read ({error}); restore it or make the data set again"
        ) from error


def _samples(folder: Path) -> Any:
    try:
        return ImageFolder(folder)
    except FileNotFoundError as error:  # also for a class without images, which it names
        raise DataSetError(f"{folder} is no data set: {error}") from error


def _labels(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the labels that folders stand for: U+3042 for あ, any other name for itself in NFC."""
    labels = []
    for name in names:
        try:
            label = chr(int(name[2:], 16)) if name.startswith("U+") else unicodedata.normalize("NFC", name)
            label.encode()
        except (ValueError, OverflowError) as error:
            raise DataSetError(f"{path}: the folder {name!r} names no code point; rename it") from error
        if label in labels:
            raise DataSetError(f"{path} has two folders for {label}, one of them {name!r}; put them together")
        labels.append(label)
    return tuple(labels)


def _read_images(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read images as (N, S, S), or (N, S, S, 3) if they have colours."""
    images: NDArray[np.uint8] | None = None
    for number, path in enumerate(paths):
        image = read_image(path)
        pixels = np.asarray(image)
        if images is None:
            images = np.empty((len(paths), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:] or image.width != image.height:
            raise DataSetError(
                f"{path} has the shape {pixels.shape}, where all images have to be squares of one size,"
                f" all grey or all coloured (the first: {images.shape[1:]}); resize them"
            )
        images[number] = pixels
    return np.empty((0, 1, 1), np.uint8) if images is None else images
