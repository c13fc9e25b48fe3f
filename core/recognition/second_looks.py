"""This module tells which pages to look at again, and which of several readings of a page counts.

Writing on its head is read with half the confidence of upright writing, whatever the book: sound pages are
looked at once. The thresholds were chosen on 40 scans, upright and turned (docs/accuracy.md).
"""

from __future__ import annotations

import numpy as np

from fumikura.core.page import PageImage, Reading, View
from fumikura.core.recognition.ink import ink_of, missed_share
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.recognition.views import view_of

#: A page that is read with less confidence may lie on its side or head, or be a negative.
_DOUBTFUL = 0.62
#: What another look at it must bring to be believed.
_GAIN = 0.1
#: Characters without which confidence says nothing.
_FEW = 5
#: A page with few characters is doubtful if so much of it is ink, and so much of that was left alone.
_LEAST_INK, _MOST_MISSED = 0.01, 0.85

#: Usual sides of characters in pixels of a view, as the root of the median area; and which are unusual.
_USUAL = 34.0
_SMALL, _LARGE = 20.0, 80.0
#: A character's strokes are not seen any better beyond this.
_MOST_ZOOM = 6.0


def turned_views(page: PageImage, reading: Reading, parameters: Parameters) -> list[View]:
    """Give the views of a doubtful page turned and inverted, as far as its ink does not speak against it."""
    has_few = len(reading.characters) < _FEW
    if not has_few and (reading.mean_confidence or 0.0) >= _DOUBTFUL:
        return []
    ink = ink_of(page)
    if has_few and (ink.area.mean() < _LEAST_INK or missed_share(ink, reading.mask) < _MOST_MISSED):
        return []
    return [
        view_of(page, parameters, quarter_turns=turns, is_negative=ink.is_negative)
        for turns in ink.likely_turns()
        if turns or ink.is_negative
    ]


def rescaled_view(page: PageImage, reading: Reading, parameters: Parameters) -> list[View]:
    """Give the view at the scale that fits a page's writing, if that is far from what the networks know."""
    view = page.view
    if view is None or len(reading.characters) < _FEW:
        return []
    sides = [(one.box.width * one.box.height) ** 0.5 for one in reading.characters]
    side = float(np.median(sides)) * view.scale
    if _SMALL <= side <= _LARGE:
        return []
    zoom = min(_USUAL / side, _MOST_ZOOM)
    return [view_of(page, parameters, zoom=zoom)]


def surest(first: Reading, other: Reading) -> Reading:
    """Choose between two readings of a page: the first, unless the other is clearly surer."""
    if len(other.characters) < _FEW:
        return first
    return other if (other.mean_confidence or 0.0) >= (first.mean_confidence or 0.0) + _GAIN else first
