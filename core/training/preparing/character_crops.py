"""This module cuts the boxes of pages out into a folder of character images for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from fumikura.core.errors import DataSetError
from fumikura.core.page import Box
from fumikura.core.recognition.crops import crop_corners
from fumikura.core.scoring.comparison import KnownPage
from fumikura.core.training.datasets.image_folders import folder_name
from fumikura.core.training.datasets.splits import Split
from fumikura.core.training.preparing.writing import NewDataSet, load_original, write_pages, write_png


@dataclass(frozen=True, slots=True)
class CropChoice:
    """This says which crops are taken.

    Attributes:
        min_images: a label is a class if the training books have so many.
        top: at most so many classes, the commonest in the training books; None takes all.
        size: S, of the images.
        grey: the red channel alone, in which the reader too cuts its crops.
    """

    min_images: int = 20
    top: int | None = None
    size: int = 64
    grey: bool = False


def prepare_crops(pages: Sequence[KnownPage], new: NewDataSet, *, choice: CropChoice) -> dict[str, Any]:
    """Write OUT/SPLIT/U+XXXX/PAGE_NUMBER.png for each box whose label is a class.

    What the test books hold has no say in the classes.

    Returns:
        The manifest, which also stands in OUT/manifest.json.

    Raises:
        DataSetError: a page or its truth is of no use, there is no class, or OUT cannot be written.
    """
    boxed = [page for page in pages if page.truth is not None and page.truth.boxes]
    labels = _choose_labels([page for page in boxed if page.reference.book not in new.test_books], choice)
    return write_pages(
        boxed,
        new,
        {"kind": "characters", "parameters": asdict(choice)},
        write=partial(_write_crops, labels=frozenset(labels), choice=choice),
        summarise=partial(_summary, labels=labels),
    )


def _summary(counts: Counter[str], split: str, labels: Sequence[str]) -> dict[str, Any]:
    if not counts:
        raise DataSetError(
            f"no box of the {split} books has a label that is a class; lower --min-images, or raise --top"
        )
    return count_images(counts, labels)


def count_images(counts: Mapping[str, int], labels: Sequence[str]) -> dict[str, Any]:
    """Return what the manifest says of a split's images."""
    images = {label: counts[label] for label in labels}
    return {
        "n_classes": sum(map(bool, images.values())),
        "n_images": sum(images.values()),
        "images": images,
    }


def _choose_labels(pages: Sequence[KnownPage], choice: CropChoice) -> tuple[str, ...]:
    """Choose the classes, commonest first, ties in code point order."""
    boxes = [item for page in pages if page.truth is not None for item in page.truth.boxes or ()]
    counts = Counter(item.label for item in boxes)
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    labels = [label for label in ordered if counts[label] >= choice.min_images][: choice.top]
    if not labels:
        most = f"; the commonest, {ordered[0]}, has {counts[ordered[0]]}" if ordered else ""
        raise DataSetError(
            f"no label has {choice.min_images} boxes in the training books{most}; lower --min-images"
        )
    return tuple(labels)


def _write_crops(
    page: KnownPage,
    folder: Path,
    split: Split,  # noqa: ARG001
    labels: frozenset[str],
    choice: CropChoice,
) -> Counter[str]:
    """Write the crops of a page whose labels are among the classes; how many of each."""
    boxes = page.truth.boxes if page.truth is not None else None
    chosen = [(number, item) for number, item in enumerate(boxes or (), start=1) if item.label in labels]
    image = torch.from_numpy(load_original(page).pixels).permute(2, 0, 1)
    corners = _corners(image, [item.box for _, item in chosen])
    for (number, item), (left, top, right, bottom) in zip(chosen, corners, strict=True):
        size = [choice.size, choice.size]
        crop = v2.functional.resized_crop(image, top, left, bottom - top, right - left, size=size)
        class_folder = folder / folder_name(item.label)
        class_folder.mkdir(parents=True, exist_ok=True)
        pixels = crop[0] if choice.grey else crop.permute(1, 2, 0)
        write_png(class_folder / f"{page.reference.name}_{number:04}.png", pixels.numpy())
    return Counter(item.label for _, item in chosen)


def _corners(image: Tensor, boxes: Sequence[Box]) -> list[list[int]]:
    """Find left, top, right, bottom of what the reader would cut, as far as it lies on the page (3, H, W)."""
    sides = torch.tensor([(box.x, box.y, box.width, box.height) for box in boxes]).float().reshape(-1, 4)
    corners = tv_tensors.BoundingBoxes(
        crop_corners(sides).round(), format="XYXY", canvas_size=tuple(image.shape[1:])
    )
    clamped: list[list[int]] = v2.functional.clamp_bounding_boxes(corners).int().tolist()
    return clamped
