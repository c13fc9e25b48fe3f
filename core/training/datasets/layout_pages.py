"""This module loads photographs of which people drew the layout: what is no writing on them is learnt.

Their lines hold characters that nobody labelled: nothing is learnt in them. All the rest of the photograph
holds none: what stands there is the paper, its worms, pictures, seals, and what was laid beside the book.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import torch

from fumikura.core.archives.listing import list_pages
from fumikura.core.errors import DataSetError, PageError, TruthError
from fumikura.core.page import Box
from fumikura.core.scoring.comparison import KnownPage, load_page
from fumikura.core.scoring.layout import TOLERANCE, Layout, load_layouts
from fumikura.core.settings import read_settings
from fumikura.core.training.datasets.training_pages import LONG_SIDE, TrainingPage


def load_layout_pages(
    archives: Sequence[str], layouts: Sequence[Path], *, without_books: Container[str] = ()
) -> list[TrainingPage]:
    """Load the pages of the archives that have a layout, at the scale at which their leaves are read.

    Raises:
        TruthError: no page has a layout, or a file is none.
        DataSetError: a page cannot be read, or its layout is that of another.
    """
    drawn = load_layouts(layouts)
    pages = list_pages(archives, limits=read_settings().limits).pages
    known = {page.name: page for page in pages if page.name in drawn and page.book not in without_books}
    if not known:
        raise TruthError("no page of these archives has a layout; compare the names of pages and XML files")
    return [_load(KnownPage(known[name], None, None), drawn[name]) for name in sorted(known)]


def _load(page: KnownPage, layout: Layout) -> TrainingPage:
    settings, name = read_settings(), page.reference.name
    try:
        image = load_page(page, long_side=LONG_SIDE, max_pixels=settings.max_pixels, limits=settings.limits)
        long_side = _long_side(layout, image.width, image.height)
        image = load_page(page, long_side=long_side, max_pixels=settings.max_pixels, limits=settings.limits)
    except PageError as error:
        raise DataSetError(f"page {name}: {error}") from error
    ignored = np.zeros(image.pixels.shape[:2], bool)
    for line in layout.lines:
        y, x = line.centre
        if not (0 <= x < image.width and 0 <= y < image.height):
            raise DataSetError(
                f"{name} has {image.width} × {image.height} pixels, but a line of its layout lies at"
                f" x={line.x}, y={line.y}; is that of another photograph?"
            )
        left, top, right, bottom = _grown(line, image.scale)
        ignored[top:bottom, left:right] = True
    return TrainingPage(
        name=name,
        book=page.reference.book,
        pixels=torch.from_numpy(image.pixels).permute(2, 0, 1).contiguous(),
        boxes=np.zeros((0, 4), np.float32),
        labels=(),
        ignored=ignored,
        digest=page.reference.digest,
    )


def _long_side(layout: Layout, width: int, height: int) -> int:
    """Choose the long side of the photograph at which a leaf has that of a page that is learnt."""
    if not layout.material:
        return LONG_SIDE
    leaf_height = max(
        box.height if box.width > box.height else max(box.width, box.height) for box in layout.material
    )
    return round(LONG_SIDE * max(width, height) / leaf_height)


def _grown(line: Box, scale: float) -> tuple[int, int, int, int]:
    """Give left, top, right and bottom of a line in working pixels, with what people's boxes leave out."""
    left, top = ((side - TOLERANCE) * scale for side in (line.x, line.y))
    right, bottom = ((end + TOLERANCE) * scale for end in (line.x + line.width, line.y + line.height))
    return max(0, round(left)), max(0, round(top)), max(0, round(right)), max(0, round(bottom))
