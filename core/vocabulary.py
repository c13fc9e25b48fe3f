"""This module says which characters are labels for the classifier, and what is no label at all."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

#: Editorial marks and modern punctuation that editors put into texts. ▲ and 〇 are
#: printed on pages and stay.
MARKS = frozenset("△○□?？●「」『』、。，．・�…（）()［］[]〔〕〈〉《》【】〕―")


def clean_text(text: str) -> str:
    """Give a text in NFC without marks and white space: what is written on the page."""
    normal = unicodedata.normalize("NFC", text)
    return "".join(char for char in normal if char not in MARKS and not char.isspace())


def commonest_labels(texts: Iterable[str], n_labels: int) -> list[str]:
    """List the commonest labels of some texts, commonest first, ties in code point order."""
    counts = Counter(char for text in texts for char in clean_text(text))
    return sorted(counts, key=lambda label: (-counts[label], label))[:n_labels]


class Vocabulary:
    """A vocabulary lists the classifier's classes in order: class number to label and back."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: str) -> bool:
        return label in self._numbers

    def number(self, label: str) -> int:
        """Give the class of a label; KeyError for a label that is no class."""
        return self._numbers[label]
