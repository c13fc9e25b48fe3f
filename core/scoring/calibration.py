"""This module tells whether a confidence of 0.8 is right eight times in ten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

N_BINS = 10

#: Confidence of a label in [0, 1], and whether it is right.
Sureness = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bin holds the characters whose confidence lies from `low` to `high`.

    Attributes:
        confidence: their mean; None without characters.
        accuracy: share of right labels among them; likewise.
    """

    low: float
    high: float
    characters: int
    confidence: float | None
    accuracy: float | None


def reliability(characters: Iterable[Sureness]) -> list[Bin]:
    """Sort characters into ten bins. A confidence between two belongs to the higher, 1 to the last."""
    bins: list[list[Sureness]] = [[] for _ in range(N_BINS)]
    for confidence, is_right in characters:
        bins[min(int(confidence * N_BINS), N_BINS - 1)].append((confidence, is_right))
    return [
        Bin(
            low=number / N_BINS,
            high=(number + 1) / N_BINS,
            characters=len(held),
            confidence=fmean(confidence for confidence, _ in held) if held else None,
            accuracy=fmean(is_right for _, is_right in held) if held else None,
        )
        for number, held in enumerate(bins)
    ]


def calibration_error(characters: Iterable[Sureness]) -> float | None:
    """Give the expected calibration error (Guo et al. 2017); None without characters.

    It is the mean of |accuracy - confidence| over characters, each with the two of its bin.
    """
    gaps = [
        (abs(held.accuracy - held.confidence), held.characters)
        for held in reliability(characters)
        if held.accuracy is not None and held.confidence is not None
    ]
    n_characters = sum(n for _, n in gaps)
    return sum(gap * n for gap, n in gaps) / n_characters if n_characters else None
