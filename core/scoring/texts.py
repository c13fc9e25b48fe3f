"""This module loads the texts of pages that people typed (PAGE.txt), and compares a reading with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from fumikura.core.archives.names import one_form
from fumikura.core.errors import TruthError
from fumikura.core.folding import fold
from fumikura.core.scoring.truth_forms.texts import read_texts
from fumikura.core.vocabulary import clean_text


@dataclass(frozen=True, slots=True)
class TextCounts:
    """These counts compare a page's labels with its text, both folded, without marks and white space.

    Attributes:
        n_truth: characters of the text.
        n_found: characters that were read.
        n_common: characters of both, wherever they stand.
        distance: fewest insertions, deletions and replacements that make the one the other.
    """

    n_truth: int
    n_found: int
    n_common: int
    distance: int

    @property
    def error_rate(self) -> float:
        return self.distance / self.n_truth

    @property
    def f1(self) -> float:
        return 2 * self.n_common / (self.n_truth + self.n_found)


def load_texts(folders: Sequence[Path]) -> dict[str, str]:
    """Load the text of each page by page name, as it stands in the files; of Koji the main text.

    A line is a column, or all columns. Marks and white space are still there: `clean_text`
    drops them. Of a page that lies in several folders the first text counts.

    Raises:
        TruthError: a folder holds no such file, or a file is not UTF-8.
    """
    texts: dict[str, str] = {}
    for folder in folders:
        paths = sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))
        if not paths:
            raise TruthError(f"{folder} holds no text of a page (PAGE.txt); name another folder")
        for path in paths:
            try:
                found = read_texts(path)
            except OSError as error:
                raise TruthError(f"{path} cannot be read ({error.strerror}); correct that") from error
            for name, text in found.items():
                texts.setdefault(one_form(name), text)
    return texts


def compare_texts(found: str, true: str, *, min_length: int = 1) -> TextCounts | None:
    """Compare what was read with a page's text; None if that has no characters, or less than `min_length`."""
    found, true = fold(clean_text(found)), fold(clean_text(true))
    if len(true) < max(1, min_length):
        return None
    n_common = (Counter(found) & Counter(true)).total()
    return TextCounts(len(true), len(found), n_common, Levenshtein.distance(found, true))
