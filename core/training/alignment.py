"""This module pairs the characters found on a page with its text, when neither is complete.

All alignments are weighed at once: the forward and backward sums of a pair hidden Markov model
(Durbin et al. 1998, "Biological Sequence Analysis", chapter 4) give each pair its probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Log-weight of a character of the text that was not found: one of thirty is not, and any one character
#: is about a hundredth of a text, as the probabilities of labels have it.
MISSED = -8.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """This is what was found on a page, in reading order; all values are natural logarithms.

    Attributes:
        is_character: (N,) that a detection is a character.
        is_nothing: (N,) that it is not.
        label: (N, T) that detection n shows character t of the text.
        halves: (N - 1, T) that detections n and n + 1 are the two halves of character t.
    """

    is_character: Floats
    is_nothing: Floats
    label: Floats
    halves: Floats


def pair(found: Found) -> tuple[Floats, Floats]:
    """Return the probabilities (N, T) that n is character t, and (N - 1, T) that n and n + 1 together are."""
    forward = _sums(found)
    backward = _sums(_reversed(found))[::-1, ::-1]
    whole, total = _whole(found), forward[-1, -1]
    singles = forward[:-1, :-1] + whole + backward[1:, 1:] - total
    doubles = forward[:-2, :-1] + _doubled(found) + backward[2:, 1:] - total
    return np.exp(singles), np.exp(doubles)


def _whole(found: Found) -> Floats:
    weights: Floats = found.is_character[:, None] + found.label
    return weights


def _doubled(found: Found) -> Floats:
    weights: Floats = found.is_nothing[:-1, None] + found.is_nothing[1:, None] + found.halves
    return weights


def _reversed(found: Found) -> Found:
    return Found(
        found.is_character[::-1], found.is_nothing[::-1], found.label[::-1, ::-1], found.halves[::-1, ::-1]
    )


def _sums(found: Found) -> Floats:
    """Return (N + 1, T + 1): log-sums of all alignments of the first n detections with t characters."""
    n_found, n_text = found.label.shape
    whole, doubled = _whole(found), _doubled(found)
    missed = MISSED * np.arange(n_text + 1)
    sums = np.empty((n_found + 1, n_text + 1))
    sums[0] = missed
    for n in range(1, n_found + 1):
        row = sums[n - 1] + found.is_nothing[n - 1]
        row[1:] = np.logaddexp(row[1:], sums[n - 1, :-1] + whole[n - 1])
        if n > 1:
            row[1:] = np.logaddexp(row[1:], sums[n - 2, :-1] + doubled[n - 2])
        # Characters missed behind this detection: a sum along the row, with a factor for each step.
        sums[n] = np.logaddexp.accumulate(row - missed) + missed
    return sums
