"""Data sets so small and plain that any network learns them in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_characters(path: Path, *, n_each: int = 6, dark_ink: bool = False, shuffled: bool = False) -> Path:
    """Kuzushiji-MNIST's single file: class k is a bright bar in the rows from 2k + 4 on, with noise.

    Args:
        dark_ink: turned over, as pages are.
        shuffled: labels that have nothing to do with the images.
    """
    random = np.random.default_rng(5)
    targets = np.tile(np.arange(10, dtype=np.uint8), n_each)
    images = random.integers(0, 40, (len(targets), 28, 28)).astype(np.uint8)
    for image, target in zip(images, targets, strict=True):
        image[2 * target + 4 : 2 * target + 7, 4:24] = 220
    if dark_ink:
        images = 255 - images
    if shuffled:
        targets = random.permutation(targets)
    np.savez(path, x_train=images, y_train=targets, x_test=images, y_test=targets)
    return path


def write_patches(folder: Path, *, n: int = 12, side: int = 32) -> Path:
    """What `prepare patches` writes: a dark square on light paper, and its mask."""
    random = np.random.default_rng(5)
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(n):
            y, x = random.integers(2, side - 14, 2)
            page, mask = np.full((side, side, 3), 220, np.uint8), np.zeros((side, side), np.uint8)
            page[y : y + 12, x : x + 12], mask[y : y + 12, x : x + 12] = 30, 255
            Image.fromarray(page).save(folder / split / "images" / f"{number:03}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{number:03}.png")
    return folder
