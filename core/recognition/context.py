"""Context weighs the labels that a character may have by the two characters before it.

Forward-backward over the likeliest labels of a page, with a mixture of trigram models: one of each corpus,
by shares that are fitted to the page, for a recipe book is no tale. Knows neither torch nor where texts
come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from fumikura.core.folding import fold
from fumikura.core.page import Character
from fumikura.core.recognition.trigrams import OTHER, ContextCounts, Floats, Integers, TrigramModel

#: No weight, however large, makes a page's labels impossible.
FLOOR = 1e-30

#: Characters that speak for the shares of any text, against those of a page; chosen on held-back books.
_PRIOR = 30
_ROUNDS = 8
#: A corpus of a smaller share would cost time and change nothing.
LEAST_SHARE = 0.02


class ContextModel:
    """This model gives the probability of a character after two others, from all corpora together."""

    def __init__(self, counted: ContextCounts) -> None:
        self._numbers = {character: number for number, character in enumerate(counted.characters, start=1)}
        size = len(counted.characters) + 1
        self._models: tuple[TrigramModel, ...] = tuple(TrigramModel(one, size) for one in counted.corpora)
        self._shares = np.array(counted.shares)

    def number(self, label: str) -> int:
        """Return the number of a label, old and new kanji alike."""
        return self._numbers.get(fold(label), OTHER)

    def probabilities(self, first: Integers, second: Integers, third: Integers) -> Floats:
        """Return p(third | first, second) for arrays of numbers whose shapes go together.

        The p of all numbers after two others sum to 1, OTHER among them as if it were one character.
        """
        parts = zip(self._shares, self._models, strict=True)
        p: Floats = sum(share * model.probabilities(first, second, third) for share, model in parts)
        return p

    def fitted(self, text: Integers) -> ContextModel:
        """Make the model whose shares make a text likelier: a few rounds of expectation maximisation.

        Args:
            text: (M,) numbers of its characters; some may be wrong.
        """
        if len(self._models) == 1 or not len(text):
            return self
        shares = fitted_shares(self.probabilities_by_corpus(text), self._shares, prior=_PRIOR, rounds=_ROUNDS)
        kept = np.nonzero(shares >= LEAST_SHARE)[0]
        model = copy(self)
        model._models = tuple(self._models[index] for index in kept)
        model._shares = shares[kept] / shares[kept].sum()
        return model

    def probabilities_by_corpus(self, text: Integers) -> Floats:
        """Return (C, M): how likely each corpus makes each character of a text (M,) after those before it."""
        before = np.concatenate([[OTHER, OTHER], text])
        return np.stack([model.probabilities(before[:-2], before[1:-1], text) for model in self._models])


def fitted_shares(probabilities: Floats, shares: Floats, *, prior: float, rounds: int) -> Floats:
    """Fit the shares of corpora to a text by expectation maximisation.

    Args:
        probabilities: (C, M) of each character of the text in each corpus.
        shares: (C,) to begin with; they count as much as so many (`prior`) characters.
    """
    fitted = shares
    for _ in range(rounds):
        parts = probabilities * fitted[:, None]
        counts = (parts / parts.sum(axis=0)).sum(axis=1) + prior * shares
        fitted = counts / counts.sum()
    return fitted


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
    fitted = model.fitted(numbers[:, 0])
    posteriors = label_posteriors(fitted, numbers, probabilities, weight=weight)
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
