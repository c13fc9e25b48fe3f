"""This module writes masks as PNG of one bit a pixel, white where a character stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write the mask of a page at working resolution, as it was found; `--truth` reads it back."""
    for page in pages:
        assert page.mask_png is not None
        file.write(page.mask_png)


FORMAT = Format(extents=("page",), suffix=".png", write=write, has_masks=True)
