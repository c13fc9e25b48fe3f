"""Context weighs the labels that a character may have by the two characters before it.

Forward-backward over the likeliest labels of a page, with an interpolated trigram model whose
discounts are the modified Kneser-Ney ones (Chen and Goodman 1999, doi:10.1006/csla.1999.0128).
Knows neither torch nor where texts come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fumikura.core.folding import fold
from fumikura.core.page import Character

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

#: No weight, however large, makes a page's labels impossible.
FLOOR = 1e-30

#: The number of any character that the texts lack, and of what stands before a page's first.
OTHER = 0


@dataclass(frozen=True, slots=True)
class TrigramCounts:
    """Texts are counted here: which three characters follow each other, and how often.

    Attributes:
        characters: folded; the first of them has number 1, after OTHER.
        trigrams: (N, 3) numbers of characters, N at least 1, no row twice.
        counts: (N,) at least 1.
    """

    characters: tuple[str, ...]
    trigrams: NDArray[np.uint16]
    counts: NDArray[np.uint16]


class ContextModel:
    """This model gives the probability of a character after two others."""

    def __init__(self, counted: TrigramCounts) -> None:
        self._numbers = {character: number for number, character in enumerate(counted.characters, start=1)}
        self._size = size = len(counted.characters) + 1
        first, second, third = counted.trigrams.astype(np.int64).T
        keys = (first * size + second) * size + third
        by_key = np.argsort(keys)
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

    def number(self, label: str) -> int:
        """Return the number of a label, old and new kanji alike."""
        return self._numbers.get(fold(label), OTHER)

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
    distinct, where = np.unique(contexts, return_inverse=True)
    totals = np.bincount(where, counts)
    return (counts - taken) / totals[where], distinct, np.bincount(where, taken) / totals


def _find(keys: Integers, wanted: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Find where each wanted key stands among sorted ones, and whether it does."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted


def in_context(
    characters: Sequence[Character], model: ContextModel, *, weight: float
) -> tuple[Character, ...]:
    """Weigh the labels of a page's characters anew by their context.

    Args:
        characters: of a page, in reading order, all with the same number of labels.
        weight: power of the context's probabilities against the classifier's; 0 changes nothing.
    """
    if not characters:
        return ()
    rows = [((one.label, one.confidence), *one.alternatives) for one in characters]
    numbers = np.array([[model.number(label) for label, _ in row] for row in rows], np.int64)
    probabilities = np.array([[probability for _, probability in row] for row in rows])
    posteriors = label_posteriors(model, numbers, probabilities, weight=weight)
    # The classifier's probability of all other labels remains theirs.
    posteriors *= probabilities.sum(axis=1, keepdims=True)
    best_first = np.argsort(-posteriors, axis=1, kind="stable").tolist()
    return tuple(
        _relabelled(character, [(row[index][0], posterior[index]) for index in order])
        for character, row, posterior, order in zip(
            characters, rows, posteriors.tolist(), best_first, strict=True
        )
    )


def _relabelled(character: Character, labels: Sequence[tuple[str, float]]) -> Character:
    (label, confidence), *others = labels
    return replace(character, label=label, confidence=confidence, alternatives=tuple(others))


def label_posteriors(
    model: ContextModel, numbers: Integers, probabilities: Floats, *, weight: float
) -> Floats:
    """Work out how likely each label of each character is, given all that stands on the page.

    The labels of a page are weighed by the product of p(label)·p(label | two before)^weight; a label has
    the share of all sequences with it. Text goes on from one column to the next.

    Args:
        numbers: (M, K) in the model, in reading order.
        probabilities: (M, K) by the classifier, each row with one above 0.

    Returns:
        (M, K), each row sums to 1.
    """
    # In steps[m, j, i, k], m has its label k, the character before it j, and the one before that i.
    steps = model.probabilities(
        _before(numbers, 2)[:, None, :, None],
        _before(numbers, 1)[:, :, None, None],
        numbers[:, None, None, :],
    )
    steps = np.maximum(steps**weight, FLOOR) * probabilities[:, None, None, :]  # (M, K, K, K)
    forward = np.empty(steps.shape[:1] + steps.shape[2:])  # [m, j, k]
    before = np.zeros_like(forward[0])
    before[0, 0] = 1  # of the K ways in which nothing stands before the page, one counts
    for place, step in enumerate(steps):
        reached = (before.T[:, None] @ step)[:, 0]
        forward[place] = before = reached / reached.sum()
    backward = np.ones_like(forward)
    for place in range(len(steps) - 1, 0, -1):
        ahead = (steps[place] @ backward[place][..., None])[..., 0].T
        backward[place - 1] = ahead / ahead.max()
    shares = (forward * backward).sum(axis=1)
    posteriors: Floats = shares / shares.sum(axis=1, keepdims=True)
    return posteriors


def _before(numbers: Integers, steps: int) -> Integers:
    """Move the numbers (M, K) of labels down by so many characters; OTHER stands before the page."""
    moved = np.full_like(numbers, OTHER)
    moved[steps:] = numbers[:-steps]
    return moved
