"""This module gives one form to characters that editors write in several: old and new kanji, hentaigana.

Box labels use new kanji (気) where texts of the same books use old ones (氣), so that
labels are compared folded. The table is `folding.tsv`: a character, a tab, its usual form.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".tsv")


def fold(text: str) -> str:
    """Put each character into its usual form; the text stays as long. Folding twice changes nothing."""
    return text.translate(_table())


def written_as(label: str) -> tuple[str, ...]:
    """List the other forms that fold to this label: 気 is also written 氣."""
    return _forms().get(label, ())


@lru_cache(maxsize=1)
def _forms() -> dict[str, tuple[str, ...]]:
    forms: dict[str, tuple[str, ...]] = {}
    for code_point, usual in _table().items():
        forms[usual] = (*forms.get(usual, ()), chr(code_point))
    return forms


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return {ord(variant): usual for variant, usual in (line.split("\t") for line in lines)}
