"""A worker reads a page of its own before it gets anybody's: on a broken machine it ends here.

Without it, a machine whose device or library ends every process would take page after page, and three
innocent attempts later each of them would be quarantined.
"""

from __future__ import annotations

import numpy as np

from fumikura.core.errors import first_line
from fumikura.core.page import PageImage, ReadsPages
from fumikura.worker.emergency_exit import time_limit

#: Pixels from one cross to the next, and the thickness of its strokes, at working resolution.
_STEP, _STROKE = 160, 7


def read_trial_page(reader: ReadsPages, *, limit_s: float) -> None:
    """Take the reader through all its stages once.

    Raises:
        RuntimeError: it cannot read here.
    """
    # One patch is enough, and every start of a worker waits for it.
    page = draw_trial_page(reader.long_side // 2)
    try:
        with time_limit(limit_s):
            reader.read([page])
    except Exception as error:
        raise RuntimeError(f"a page drawn for a trial cannot be read here ({first_line(error)})") from error


def draw_trial_page(long_side: int) -> PageImage:
    """Draw crosses of ink on white paper."""
    width = long_side * 3 // 4
    pixels = np.full((long_side, width, 3), 255, np.uint8)
    for y in range(_STEP // 2, long_side - _STEP // 2, _STEP):
        for x in range(_STEP // 2, width - _STEP // 2, _STEP):
            pixels[y - 20 : y + 20, x - _STROKE // 2 : x + _STROKE // 2] = 30
            pixels[y - _STROKE // 2 : y + _STROKE // 2, x - 16 : x + 16] = 30
    return PageImage(pixels, width, long_side)
