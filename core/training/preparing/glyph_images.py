"""This module draws glyphs of fonts, each distorted anew, into a folder of images for each label.

A font is a hand, as a book is: those that are tested on are in no part of the training images.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from fumikura.core.errors import DataSetError
from fumikura.core.folding import fold
from fumikura.core.training.datasets.augmentation import FOR_GLYPHS, distort
from fumikura.core.training.datasets.crop_bank import CropBank, bank_of_glyphs, drawable
from fumikura.core.training.datasets.image_folders import folder_name
from fumikura.core.training.datasets.splits import SPLITS, Split
from fumikura.core.training.drawing.fonts import GlyphFont
from fumikura.core.training.preparing.character_crops import count_images
from fumikura.core.training.preparing.writing import NewDataSet, new_data_set, write_manifest, write_png
from fumikura.core.vocabulary import Vocabulary, clean_text, commonest_labels

_BATCH = 256
#: Of so many images of a class, one more is drawn for testing.
_TRAIN_PER_TEST = 5


@dataclass(frozen=True, slots=True)
class GlyphChoice:
    """This says what is drawn.

    Attributes:
        n_labels: classes: the commonest labels of the texts that fonts of both splits draw.
        images_a_class: for training; a fifth as many for testing.
        size: S, of the images.
    """

    n_labels: int
    images_a_class: int = 100
    size: int = 64
    seed: int = 1


def prepare_glyphs(
    fonts: Sequence[GlyphFont], texts: Sequence[str], new: NewDataSet, *, choice: GlyphChoice
) -> dict[str, Any]:
    """Write grey images OUT/SPLIT/U+XXXX/NUMBER.png, ink dark on light as on paper.

    Args:
        texts: what is common in them is drawn.

    Returns:
        The manifest, which also stands in OUT/manifest.json.

    Raises:
        DataSetError: the fonts draw too few labels, or OUT cannot be written.
    """
    fonts_of = {
        split: [font for font in fonts if (font.name in new.test_books) == (split == "test")]
        for split in SPLITS
    }
    labels = _choose_labels(texts, fonts_of.values(), choice.n_labels)
    generator = torch.Generator().manual_seed(choice.seed)
    banks = {split: bank_of_glyphs(fonts_of[split], Vocabulary(labels)) for split in SPLITS}
    n_images = {"train": choice.images_a_class, "test": max(1, choice.images_a_class // _TRAIN_PER_TEST)}
    batches: list[tuple[Split, Tensor]] = []
    for split in SPLITS:
        forms = _draw_forms(banks[split], n_images[split], generator)
        batches += ((split, forms[start : start + _BATCH]) for start in range(0, len(forms), _BATCH))
    counts = {split: Counter[str]() for split in SPLITS}
    with new_data_set(new.out) as folder:
        for split, forms in new.track(batches):
            drawn = [labels[number] for number in banks[split].numbers[forms]]
            images = _distorted(banks[split], forms, choice.size, generator)
            _write(folder / split, drawn, images, counts[split])
        manifest = {"kind": "characters", "parameters": asdict(choice), "sources": list(new.sources)}
        for split in SPLITS:
            names = [font.name for font in fonts_of[split]]
            manifest[split] = {"n_books": len(names), "books": names} | count_images(counts[split], labels)
        write_manifest(folder, manifest)
    return manifest


def _choose_labels(texts: Sequence[str], fonts: Iterable[Sequence[GlyphFont]], n_labels: int) -> list[str]:
    """Choose the commonest labels that all these groups of fonts draw, folded: texts say 氣, boxes 気."""
    common = commonest_labels((fold(clean_text(text)) for text in texts), sys.maxunicode)
    for group in fonts:
        drawn = drawable(group, common)
        common = [label for label in common if label in drawn]
    if len(common) < n_labels:
        raise DataSetError(
            f"the texts have {len(common)} labels that fonts of both splits draw, not {n_labels};"
            " lower --labels, or add texts or fonts"
        )
    return common[:n_labels]


def _draw_forms(bank: CropBank, n_images: int, generator: torch.Generator) -> Tensor:
    """Draw by lot which images of the bank are taken, `n_images` of each class, in any order."""
    n_forms = torch.bincount(bank.numbers)
    first = n_forms.cumsum(0) - n_forms  # a bank has its classes one after the other
    classes = torch.arange(len(n_forms)).repeat_interleave(n_images)
    forms = first[classes] + (torch.rand(len(classes), generator=generator) * n_forms[classes]).long()
    # Mixed, since each image gets pieces of the others of its batch as neighbours.
    return forms[torch.randperm(len(forms), generator=generator)]


def _distorted(bank: CropBank, forms: Tensor, size: int, generator: torch.Generator) -> NDArray[np.uint8]:
    """Show images (B, S, S) as a camera would."""
    images, _ = distort(bank.images[forms].float() / 255, FOR_GLYPHS, generator)
    resized = v2.functional.resize(images, [size, size])
    pixels: NDArray[np.uint8] = (255 * resized).round().clamp(0, 255).to(torch.uint8).numpy()[:, 0]
    return pixels


def _write(folder: Path, labels: Sequence[str], images: NDArray[np.uint8], counts: Counter[str]) -> None:
    for label, image in zip(labels, images, strict=True):
        counts[label] += 1
        class_folder = folder / folder_name(label)
        class_folder.mkdir(parents=True, exist_ok=True)
        write_png(class_folder / f"{counts[label]:05}.png", image)
