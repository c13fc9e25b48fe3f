"""This module says what a person who searches means: い stands for ゐ too, and `*` for anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fumikura.core.errors import UsageError
from fumikura.core.folding import fold
from fumikura.core.vocabulary import MARKS, clean_text

#: SQLite joins at most 64 tables.
LONGEST_PHRASE = 50
#: Characters for which one `*` stands, at most.
LONGEST_GAP = 20

#: Kana that were written for each other.
_ALIKE = {"ゐ": "い", "ゑ": "え"}
_OLD = {new: old for old, new in _ALIKE.items()}
_REPEATS, _VOICED_REPEATS = "ゝヽ々〻〱", "ゞヾ"
_VOICED_MARK = "\u3099"
_FIRST_KATAKANA, _LAST_KATAKANA, _TO_HIRAGANA = 0x30A1, 0x30F6, 0x60


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase is one or more stretches of characters, with a gap of up to LONGEST_GAP between them.

    Attributes:
        text: as it was meant, `?` for any character; all stretches one after the other.
        stretches: of each place the labels that will do; None where any label will.
    """

    text: str
    stretches: tuple[tuple[frozenset[str] | None, ...], ...]

    @property
    def n_characters(self) -> int:
        """Count the characters, those in gaps left out."""
        return len(self.text)

    def length(self, labels: Sequence[str], *, stretch: int = 0) -> int | None:
        """Tell how many of some labels, from the first on, the phrase takes; None if it is not there."""
        wanted = self.stretches[stretch]
        if len(labels) < len(wanted) or not all(
            place is None or label in place for place, label in zip(wanted, labels, strict=False)
        ):
            return None
        if stretch == len(self.stretches) - 1:
            return len(wanted)
        for gap in range(LONGEST_GAP + 1):
            rest = self.length(labels[len(wanted) + gap :], stretch=stretch + 1)
            if rest is not None:
                return len(wanted) + gap + rest
        return None


def understand(text: str, *, as_written: bool = False) -> Phrase:
    """Understand what is searched for.

    Args:
        text: characters, with `?` for any one and `*` for up to LONGEST_GAP of any.
        as_written: い is not found as ゐ, nor as イ; こころ not as こゝろ. Old kanji are found as new ones
            all the same, for labels are new ones.

    Raises:
        UsageError: it holds no character, too many, or begins or ends with a gap.
    """
    parts = [list(_characters(part)) for part in _with_wildcards(text).split("*") if part]
    n_characters = sum(map(len, parts))
    if not any(one != "?" for part in parts for one in part) or n_characters > LONGEST_PHRASE:
        raise UsageError(
            f"{text!r} holds {n_characters} characters to search for; give 1 to {LONGEST_PHRASE}"
        )
    if any(part[0] == "?" for part in parts):
        raise UsageError(f"{text!r} has a ? where a character must stand: at its beginning or behind a *")
    stretches = tuple(tuple(_places(part, as_written=as_written)) for part in parts)
    return Phrase("".join(map("".join, parts)), stretches)


def _with_wildcards(text: str) -> str:
    normal = unicodedata.normalize("NFC", text).replace("＊", "*").replace("？", "?")
    return "".join(char for char in normal if char in "*?" or not (char in MARKS or char.isspace())).strip(
        "*"
    )


def _characters(part: str) -> Iterator[str]:
    """Give the labels of a part, with what repeats the one before written out."""
    before = ""
    for char in part if "?" in part else clean_text(part):
        if before and char in _REPEATS:
            yield before
            continue
        if before and char in _VOICED_REPEATS:
            before = unicodedata.normalize("NFC", before + _VOICED_MARK)[:1]
        else:
            before = fold(char)
        yield before


def _places(part: Sequence[str], *, as_written: bool) -> Iterator[frozenset[str] | None]:
    before = ""
    for char in part:
        if char == "?":
            yield None
        elif as_written:
            yield frozenset([char])
        else:
            yield frozenset(_meant(char, before))
        before = char


def _meant(char: str, before: str) -> Iterator[str]:
    plain = hiragana(char)
    for one in {plain, _OLD.get(plain, plain)}:
        yield one
        yield _katakana(one)
    if before and plain == hiragana(before):
        yield from _REPEATS
    elif before and plain == unicodedata.normalize("NFC", hiragana(before) + _VOICED_MARK):
        yield from _VOICED_REPEATS


def hiragana(char: str) -> str:
    """Give a kana in its plainest form: ナ as な, ゐ as い; other characters stay."""
    code = ord(char) if len(char) == 1 else 0
    plain = chr(code - _TO_HIRAGANA) if _FIRST_KATAKANA <= code <= _LAST_KATAKANA else char
    return _ALIKE.get(plain, plain)


def _katakana(char: str) -> str:
    code = ord(char) if len(char) == 1 else 0
    is_hiragana = _FIRST_KATAKANA <= code + _TO_HIRAGANA <= _LAST_KATAKANA
    return chr(code + _TO_HIRAGANA) if is_hiragana else char
