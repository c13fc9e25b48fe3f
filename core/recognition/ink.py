"""This module measures the ink of a page, without reading it: how much there is, and how it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fumikura.core.page import PageImage

#: Pixels of the working page along a side of those that are looked at here.
_REDUCED = 2
#: Reduced pixels around each, whose mean is its paper; strokes are much thinner.
_NEIGHBOURHOOD = 15
#: Shades by which ink is darker than its paper, of 255.
_CONTRAST = 25
#: Reduced pixels along a side of a tile.
_TILE = 96
_LEAST = 0.01
#: Beyond this, how ink changes across and down tells columns from lines.
_CLEAR = 0.2


@dataclass(frozen=True, slots=True)
class Ink:
    """This is what stands out from the paper of a page.

    Attributes:
        depth: (H/2, W/2), positive where the page is darker than around.
    """

    depth: NDArray[np.float32]

    @property
    def area(self) -> NDArray[np.bool_]:
        """Tell where the ink is, bool (H/2, W/2); light on a negative."""
        return (-self.depth if self.is_negative else self.depth) > _CONTRAST

    @property
    def is_negative(self) -> bool:
        """Tell whether ink is lighter than its paper: few pixels are much brighter than around."""
        squares = self.depth * self.depth
        spread = float(squares.mean())
        skewness = float((squares * self.depth).mean()) / spread**1.5 if spread > 1 else 0.0
        return float((self.depth < -_CONTRAST).mean()) > _LEAST and skewness < 0

    @property
    def uprightness(self) -> float:
        """Compare how ink changes from left to right with how it does from top to bottom; 0 if it is alike.

        Columns are dense and the gaps between them empty, so that upright pages have more than 0. Tiles are
        compared and not the page, whose frames would have more to say than its characters.
        """
        ink = self.area
        rows, columns = (length // _TILE for length in ink.shape)
        tiles = ink[: rows * _TILE, : columns * _TILE].astype(np.float32)
        tiles = tiles.reshape(rows, _TILE, columns, _TILE)
        across = tiles.mean(1).reshape(-1, _TILE)  # (tiles, P), from left to right
        down = tiles.mean(3).transpose(0, 2, 1).reshape(-1, _TILE)
        has_ink = across.mean(1) > 0.03
        if not has_ink.any():
            return 0.0
        changes = [(side[has_ink, 1:] + side[has_ink, :-1]).std(1) + 1e-3 for side in (across, down)]
        return float(np.median(np.log(changes[0] / changes[1])))

    def likely_turns(self) -> tuple[int, ...]:
        """List the quarter turns, counterclockwise, after which the page may be upright."""
        uprightness = self.uprightness
        if abs(uprightness) < _CLEAR:
            return (0, 1, 2, 3)
        return (0, 2) if uprightness > 0 else (1, 3)


def ink_of(page: PageImage) -> Ink:
    """Measure the ink of a page."""
    grey = Image.fromarray(page.pixels).convert("L").reduce(_REDUCED)
    paper = np.asarray(grey.filter(ImageFilter.BoxBlur(_NEIGHBOURHOOD)), np.float32)
    return Ink(paper - np.asarray(grey, np.float32))


def missed_share(ink: Ink, mask: NDArray[np.bool_]) -> float:
    """Return the share of the ink that lies outside the mask (of any resolution) and not at its edge."""
    area = ink.area
    covered = Image.fromarray(mask).convert("L").resize(area.shape[::-1], Image.Resampling.BOX)
    near = np.asarray(covered.filter(ImageFilter.BoxBlur(3))) > 0
    return float((area & ~near).sum() / max(1, area.sum()))
