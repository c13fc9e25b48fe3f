"""Pages with truth -> images and masks for the segmenter: whole pages, or patches of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from core.comparison import KnownPage
from core.errors import DataSetError
from core.metrics import truth_mask
from core.training.preparing import SPLITS, Track, load_original, new_data_set, write_manifest, write_png


@dataclass(frozen=True, slots=True)
class PageCutting:
    """Whole pages, squeezed into a square whatever their shape.

    Attributes:
        side: of the square.
    """

    side: int = 256


@dataclass(frozen=True, slots=True)
class PatchCutting:
    """Overlapping patches.

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
    """A page or a patch.

    Attributes:
        name: of its files.
        image: uint8 (3, P, P).
        mask: uint8 (P, P) in {0, 1}.
    """

    name: str
    image: Tensor
    mask: Tensor


def prepare_patches(
    pages: Sequence[KnownPage],
    out: Path,
    cutting: PageCutting | PatchCutting,
    *,
    test_books: frozenset[str],
    sources: Mapping[str, str],
    track: Track,
) -> dict[str, Any]:
    """Write images and masks into OUT/SPLIT/images and OUT/SPLIT/masks, under the same names.

    Args:
        sources: digests of the truth files, for the manifest.

    Returns:
        The manifest, which also stands in OUT/manifest.json.

    Raises:
        DataSetError: a page or its truth is of no use, nothing is left of a split, or OUT cannot be written.
    """
    kind = "pages" if isinstance(cutting, PageCutting) else "patches"
    done: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    with new_data_set(out) as folder:
        for split in SPLITS:
            for part in ("images", "masks"):
                (folder / split / part).mkdir(parents=True)
        for page in track(sorted(pages, key=lambda page: page.reference.name)):
            split = SPLITS[page.reference.book in test_books]
            n_pieces, n_dropped = _write_page(page, folder / split, cutting, _least(cutting, split))
            reference = page.reference
            done[split].append(
                {
                    "name": reference.name,
                    "book": reference.book,
                    "sha256": reference.digest,
                    f"n_{kind}": n_pieces,
                    "n_dropped": n_dropped,
                }
            )
        manifest = {"kind": kind, "parameters": asdict(cutting), "sources": dict(sources)}
        manifest |= {split: _summary(done[split], kind, split) for split in SPLITS}
        write_manifest(folder, manifest)
    return manifest


def _least(cutting: PageCutting | PatchCutting, split: str) -> float:
    if isinstance(cutting, PageCutting):
        return 0.0
    return cutting.min_mask if split == "train" else cutting.min_test_mask


def _summary(pages: Sequence[dict[str, Any]], kind: str, split: str) -> dict[str, Any]:
    n_kept = sum(page[f"n_{kind}"] for page in pages)
    if not n_kept:
        raise DataSetError(f"no patch for {split} has that much mask; lower --min-mask or --min-test-mask")
    return {
        "n_books": len({page["book"] for page in pages}),
        "n_pages": len(pages),
        f"n_{kind}": n_kept,
        "n_dropped": sum(page["n_dropped"] for page in pages),
        "pages": pages,
    }


def _write_page(
    page: KnownPage, folder: Path, cutting: PageCutting | PatchCutting, least: float
) -> tuple[int, int]:
    """Write the pieces of a page whose mask is large enough; how many were written, how many dropped."""
    pieces = list(_pieces(page, cutting))
    kept = [piece for piece in pieces if piece.mask.float().mean() >= least]
    for piece in kept:
        write_png(folder / "images" / f"{piece.name}.png", piece.image.permute(1, 2, 0).numpy())
        write_png(folder / "masks" / f"{piece.name}.png", piece.mask.bool().numpy())
    return len(kept), len(pieces) - len(kept)


def _pieces(page: KnownPage, cutting: PageCutting | PatchCutting) -> Iterator[Piece]:
    name = page.reference.name
    original = load_original(page)
    height, width = original.pixels.shape[:2]
    assert page.truth is not None
    actual = truth_mask(page.truth, shape=(height, width), width=width, height=height)
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
