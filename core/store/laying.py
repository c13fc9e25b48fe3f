"""Lay a phrase along what was read, with all that it may have been instead."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Probability of a label that is not among the best, of a character too many, and of one that was missed.
_UNLIKELY, _TOO_MANY, _MISSED = 0.002, 0.02, 0.02
#: A hit that is less probable than this, a place, is none.
_LEAST = 0.02


@dataclass(frozen=True, slots=True)
class Match:
    """This is how a phrase lies best along the characters of a reading, from `start` up to `end`.

    Attributes:
        chances: of each place of the phrase; 0 where the character was missed.
    """

    reading_id: int
    start: int
    end: int
    probability: float
    chances: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """This is a character as it was read, its next-best labels still as JSON."""

    position: int
    label: str
    confidence: float
    alternatives: str

    def chance(self, labels: frozenset[str] | None) -> float:
        """Tell how probable it is that one of some labels stands here."""
        if labels is None:
            return 1.0
        chance = self.confidence if self.label in labels else 0.0
        # Most characters have none of them, and their JSON need not be read.
        if any(f'"{label}"' in self.alternatives for label in labels):
            chance += sum(share for label, share in json.loads(self.alternatives) if label in labels)
        return chance


def laid_along(
    reading_id: int, places: Sequence[frozenset[str] | None], rows: Sequence[Read]
) -> Match | None:
    """Lay a phrase along some characters as is most probable; None if it is not probable at all."""
    unlikely, too_many, missed = (math.log(one) for one in (_UNLIKELY, _TOO_MANY, _MISSED))
    # best[j]: logarithm, first row, and chance of each place, when j rows were gone through.
    best: list[tuple[float, int, tuple[float, ...]]] = [(0.0, j, ()) for j in range(len(rows) + 1)]
    for labels in places:
        after: list[tuple[float, int, tuple[float, ...]]] = []
        for j in range(len(rows) + 1):
            logarithm, first, chances = best[j]
            choice = (logarithm + missed, first, (*chances, 0.0))
            if j:
                logarithm, first, chances = best[j - 1]
                chance = rows[j - 1].chance(labels)
                taken = logarithm + (math.log(chance) if chance > _UNLIKELY else unlikely)
                choice = max(choice, (taken, first, (*chances, chance)))
                logarithm, first, chances = after[j - 1]
                if first < j - 1:
                    choice = max(choice, (logarithm + too_many, first, chances))
            after.append(choice)
        best = after
    end, (logarithm, first, chances) = max(enumerate(best), key=lambda one: one[1])
    n_likely = sum(chance > _UNLIKELY for chance in chances)
    if end <= first or n_likely < 2 or logarithm < len(places) * math.log(_LEAST):
        return None
    return Match(reading_id, rows[first].position, rows[end - 1].position + 1, math.exp(logarithm), chances)


def without_overlaps(matches: Sequence[Match]) -> list[Match]:
    """Leave out what overlaps a more probable match."""
    kept: list[Match] = []
    taken: set[tuple[int, int]] = set()
    for match in matches:
        places = {(match.reading_id, number) for number in range(match.start, match.end)}
        if not places & taken:
            taken |= places
            kept.append(match)
    return kept
