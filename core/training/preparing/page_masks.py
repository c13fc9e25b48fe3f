"""This module makes images and masks for the segmenter of pages with truth: whole pages, or patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from fumikura.core.errors import DataSetError
from fumikura.core.scoring.comparison import KnownPage
from fumikura.core.scoring.metrics import truth_mask
from fumikura.core.training.datasets.splits import Split
from fumikura.core.training.preparing.writing import NewDataSet, load_original, write_pages, write_png


@dataclass(frozen=True, slots=True)
class PageCutting:
    """This asks for whole pages, squeezed into a square whatever their shape.

    Attributes:
        side: of the square.
    """

    side: int = 256


@dataclass(frozen=True, slots=True)
class PatchCutting:
    """This asks for overlapping patches.

    Attributes:
        long_side: that pages are resized to before.
        side: P, of a patch.
        stride: from one patch to the next; the last of a row moves back to the page's edge.
        min_mask: share of a patch that is character; training patches with less are dropped.
        min_test_mask: the same for test patches.
    """

    long_side: int = 1024
    side: int = 128
    stride: int = 64
    min_mask: float = 0.01
    min_test_mask: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece is a page or a patch.

    Attributes:
        name: of its files.
        image: uint8 (3, P, P).
        mask: uint8 (P, P) in {0, 1}.
    """

    name: str
    image: Tensor
    mask: Tensor


def prepare_patches(
    pages: Sequence[KnownPage], new: NewDataSet, *, cutting: PageCutting | PatchCutting
) -> dict[str, Any]:
    """Write images and masks into OUT/SPLIT/images and OUT/SPLIT/masks, under the same names.

    Returns:
        The manifest, which also stands in OUT/manifest.json.

    Raises:
        DataSetError: a page or its truth is of no use, nothing is left of a split, or OUT cannot be written.
    """
    kind = "pages" if isinstance(cutting, PageCutting) else "patches"
    return write_pages(
        pages,
        new,
        {"kind": kind, "parameters": asdict(cutting)},
        write=partial(_write_page, cutting=cutting),
        summarise=_summary if kind == "patches" else lambda _, __: {},
    )


def _summary(counts: Counter[str], split: str) -> dict[str, Any]:
    if not counts["n_patches"]:
        raise DataSetError(
            f"each patch of the {split} books has less mask than is asked for; lower --min-mask"
        )
    return {name: counts[name] for name in ("n_patches", "n_dropped")}


def _write_page(
    page: KnownPage, folder: Path, split: Split, cutting: PageCutting | PatchCutting
) -> Counter[str]:
    """Write the pieces of a page whose mask is large enough; how many were written and dropped."""
    least = 0.0
    if isinstance(cutting, PatchCutting):
        least = cutting.min_mask if split == "train" else cutting.min_test_mask
    images, masks = folder / "images", folder / "masks"
    for part in (images, masks):
        part.mkdir(parents=True, exist_ok=True)
    counts = Counter[str]()
    for piece in _pieces(page, cutting):
        if piece.mask.float().mean() < least:
            counts["n_dropped"] += 1
            continue
        counts["n_patches"] += 1
        write_png(images / f"{piece.name}.png", piece.image.permute(1, 2, 0).numpy())
        write_png(masks / f"{piece.name}.png", piece.mask.bool().numpy())
    return counts


def _pieces(page: KnownPage, cutting: PageCutting | PatchCutting) -> Iterator[Piece]:
    name = page.reference.name
    original = load_original(page)
    height, width = original.pixels.shape[:2]
    assert page.truth is not None
    actual = truth_mask(page.truth, shape=(height, width), width=width, height=height)
    if actual is None:
        raise DataSetError(f"the truth of page {name} tells neither boxes nor a mask; leave the page out")
    image = tv_tensors.Image(torch.from_numpy(original.pixels).permute(2, 0, 1))
    mask = tv_tensors.Mask(torch.from_numpy(actual).to(torch.uint8))
    if isinstance(cutting, PageCutting):
        yield Piece(name, *v2.Resize((cutting.side, cutting.side))(image, mask))
        return
    image, mask = v2.Resize(size=None, max_size=cutting.long_side)(image, mask)
    side, (height, width) = cutting.side, mask.shape
    if min(height, width) < side:
        raise DataSetError(
            f"page {name} has {width} × {height} pixels when its long side has {cutting.long_side}: less than"
            f" a patch of {side}; raise --long-side or lower --side"
        )
    for y in _starts(height, cutting):
        for x in _starts(width, cutting):
            window = (..., slice(y, y + side), slice(x, x + side))
            yield Piece(f"{name}_y{y:04}_x{x:04}", image[window], mask[window])


def _starts(length: int, cutting: PatchCutting) -> list[int]:
    last = length - cutting.side
    return [*range(0, last, cutting.stride), last]
