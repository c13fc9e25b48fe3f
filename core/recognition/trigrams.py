"""Texts are counted here by three characters, and give the probability of a character after two others.

An interpolated trigram model whose discounts are the modified Kneser-Ney ones (Chen and Goodman 1999,
doi:10.1006/csla.1999.0128). Knows neither torch nor where texts come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

#: The number of any character that the texts lack, and of what stands before a page's first.
OTHER = 0


@dataclass(frozen=True, slots=True)
class TrigramCounts:
    """The texts of one corpus are counted here: which three characters follow each other, and how often.

    Attributes:
        trigrams: (N, 3) numbers of characters, N at least 1, no row twice.
        counts: (N,) at least 1.
    """

    trigrams: NDArray[np.uint16]
    counts: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class ContextCounts:
    """Texts of several corpora are counted here, each by itself: pooled, the largest would drown the nearest.

    Attributes:
        characters: folded, of all corpora; the first of them has number 1, after OTHER.
        corpora: at least one.
        shares: of each corpus in a text of which nothing is known; they sum to 1.
    """

    characters: tuple[str, ...]
    corpora: tuple[TrigramCounts, ...]
    shares: tuple[float, ...] = (1.0,)


class TrigramModel:
    """This model gives the probability of a character after two others in the texts of a corpus.

    Args:
        size: how many numbers there are, OTHER included.
    """

    def __init__(self, counted: TrigramCounts, size: int) -> None:
        self._size = size
        first, second, third = counted.trigrams.astype(np.int64).T
        keys = (first * size + second) * size + third
        by_key = np.argsort(keys, kind="stable")  # quick where they are sorted, as a file has them
        self._trigrams = keys[by_key]
        # Of a shorter n-gram counts in how many contexts it stands, and not how often (Kneser and Ney).
        self._bigrams, bigram_counts = np.unique(self._trigrams % size**2, return_counts=True)
        known, known_counts = np.unique(self._bigrams % size, return_counts=True)

        share, _, left_over = _discount(np.zeros_like(known), known_counts)
        self._unigram_p = np.full(size, left_over[0] / size)
        self._unigram_p[known] += share
        share, contexts, left_over = _discount(self._bigrams // size, bigram_counts)
        self._left_over_1 = np.ones(size)
        self._left_over_1[contexts] = left_over
        shorter = self._left_over_1[self._bigrams // size] * self._unigram_p[self._bigrams % size]
        self._bigram_p = share + shorter
        found = _discount(self._trigrams // size, counted.counts[by_key].astype(np.int64))
        self._trigram_share, self._contexts, self._left_over_2 = found

    def probabilities(self, first: Integers, second: Integers, third: Integers) -> Floats:
        """Return p(third | first, second) for arrays of numbers whose shapes go together.

        The p of all numbers after two others sum to 1, OTHER among them as if it were one character.
        """
        size = self._size
        at, has_bigram = _find(self._bigrams, second * size + third)
        shorter = self._left_over_1[second] * self._unigram_p[third]
        shorter = np.where(has_bigram, self._bigram_p[at], shorter)
        context = first * size + second
        at, has_context = _find(self._contexts, context)
        p: Floats = np.where(has_context, self._left_over_2[at], 1.0) * shorter
        # Most triples of a lattice stand in no text; a search among the trigrams costs most.
        possible = np.nonzero(has_context & has_bigram)
        wanted = np.broadcast_to(context * size + third, p.shape)[possible]
        at, has_trigram = _find(self._trigrams, wanted)
        p[possible] += np.where(has_trigram, self._trigram_share[at], 0.0)
        return p


def _discount(contexts: Integers, counts: Integers) -> tuple[Floats, Integers, Floats]:
    """Take a little from each n-gram of a context, for those that were never seen in it.

    Args:
        contexts: (N,) sorted.
        counts: (N,)

    Returns:
        (N,) each n-gram's share of its context; (L,) the contexts; (L,) what is left over in each.
    """
    n1, n2, n3, n4 = (max(1, int(np.count_nonzero(counts == count))) for count in (1, 2, 3, 4))
    kept = n1 / (n1 + 2 * n2)
    discounts = [1 - 2 * kept * n2 / n1, 2 - 3 * kept * n3 / n2, 3 - 4 * kept * n4 / n3]
    # The formulas are made for long texts; of short ones they may take more than there is, or give.
    taken = np.clip(discounts, 0.1, [0.9, 1.9, 2.9])[np.minimum(counts, 3) - 1]
    begins = np.diff(contexts, prepend=-1) > 0
    distinct, where = contexts[begins], np.cumsum(begins) - 1
    totals = np.bincount(where, counts)
    return (counts - taken) / totals[where], distinct, np.bincount(where, taken) / totals


def _find(keys: Integers, wanted: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Find where each wanted key stands among sorted ones, and whether it does."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted
