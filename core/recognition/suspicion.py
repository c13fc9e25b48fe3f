"""This module says why a page's reading should be looked at: what was photographed or found is unusual.

The thresholds were chosen on real scans and on such scans turned, inverted and pasted together;
docs/accuracy.md says on which, and how many sound pages they name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fumikura.core.page import PageImage, Reading, Suspicion
from fumikura.core.recognition.ink import ink_of, missed_share

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
    ink = ink_of(page)
    is_long = max(page.width, page.height) > _LONGEST_SHAPE * min(page.width, page.height)
    was_turned = any(leaf.turned for leaf in reading.leaves)
    was_inverted = any(leaf.is_negative for leaf in reading.leaves)
    found = {
        Suspicion.SCROLL: is_long,
        Suspicion.NEGATIVE: ink.is_negative and not was_inverted,
        Suspicion.TURNED: not is_long and not was_turned and ink.uprightness < _TURNED,
        Suspicion.FEW: ink.area.mean() > _LEAST_INK and missed_share(ink, reading.mask) > _MOST_MISSED_INK,
        Suspicion.UNSURE: _is_unsure(reading),
        Suspicion.TINY: _is_tiny(reading, reading.leaves[0].scale if reading.leaves else page.scale),
    }
    return tuple(reason for reason, holds in found.items() if holds)


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
