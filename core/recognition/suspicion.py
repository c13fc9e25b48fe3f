"""This module says why a page's reading should be looked at: what was photographed or found is unusual.

The thresholds were chosen on real scans and on such scans turned, inverted and pasted together;
docs/accuracy.md says on which, and how many sound pages they name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fumikura.core.page import PageImage, Reading, Suspicion

#: Pixels of the working page along a side of those that are looked at here.
_REDUCED = 2
#: Reduced pixels around each, whose mean is its paper; strokes are much thinner.
_NEIGHBOURHOOD = 15
#: Shades by which ink is darker than its paper, of 255.
_CONTRAST = 25
#: Reduced pixels along a side of a tile.
_TILE = 96

_LONGEST_SHAPE = 2.2
_LEAST_INK = 0.01
_MOST_MISSED_INK = 0.85
_LEAST_CONFIDENCE = 0.5
#: Characters without which a mean says nothing.
_FEW = 5
_TINY = 17
_TURNED = -0.2


def suspicions(page: PageImage, reading: Reading) -> tuple[Suspicion, ...]:
    """Tell what is probably wrong with a page or its reading; nothing of most pages."""
    grey = Image.fromarray(page.pixels).convert("L").reduce(_REDUCED)
    shades = np.asarray(grey, np.float32)
    paper = np.asarray(grey.filter(ImageFilter.BoxBlur(_NEIGHBOURHOOD)), np.float32)
    depth = paper - shades  # (H/2, W/2), positive where it is darker than around
    ink = depth > _CONTRAST
    is_long = max(page.width, page.height) > _LONGEST_SHAPE * min(page.width, page.height)
    found = {
        Suspicion.SCROLL: is_long,
        Suspicion.NEGATIVE: (depth < -_CONTRAST).mean() > _LEAST_INK and _skewness(depth) < 0,
        Suspicion.TURNED: not is_long and _uprightness(ink) < _TURNED,
        Suspicion.FEW: ink.mean() > _LEAST_INK and _missed(ink, reading.mask) > _MOST_MISSED_INK,
        Suspicion.UNSURE: _is_unsure(reading),
        Suspicion.TINY: _is_tiny(reading, page.scale),
    }
    return tuple(reason for reason, holds in found.items() if holds)


def _skewness(depth: NDArray[np.float32]) -> float:
    """Tell whether few pixels are much darker than around (above 0) or much brighter (below): ink does."""
    squares = depth * depth
    spread = float(squares.mean())
    return float((squares * depth).mean()) / spread**1.5 if spread > 1 else 0.0


def _uprightness(ink: NDArray[np.bool_]) -> float:
    """Compare how ink changes from left to right with how it does from top to bottom; 0 if it is alike.

    Columns are dense and the gaps between them empty, so that upright pages have more than 0. Tiles are
    compared and not the page, whose frames would have more to say than its characters.
    """
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


def _missed(ink: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float:
    """Return the share of the ink that lies outside the mask and not at its edge."""
    covered = Image.fromarray(mask).convert("L").resize(ink.shape[::-1], Image.Resampling.BOX)
    near = np.asarray(covered.filter(ImageFilter.BoxBlur(3))) > 0
    return float((ink & ~near).sum() / ink.sum())


def _is_unsure(reading: Reading) -> bool:
    mean = reading.mean_confidence
    return mean is not None and len(reading.characters) >= _FEW and mean < _LEAST_CONFIDENCE


def _is_tiny(reading: Reading, scale: float) -> bool:
    """Tell whether half of the characters are smaller at working resolution than any that were learnt."""
    areas = [one.box.width * one.box.height for one in reading.characters]
    return len(areas) >= _FEW and float(np.median(areas)) ** 0.5 * scale < _TINY


def with_suspicions(page: PageImage, reading: Reading) -> Reading:
    """Add to a page's reading why it should be looked at."""
    return replace(reading, suspicions=suspicions(page, reading))
