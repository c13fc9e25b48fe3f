"""This module gives the files of archives names that people type and databases take.

Names are kept in Unicode's form NFC: a Mac writes が as two characters, a keyboard as one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

_LONGEST_NAME_BYTES = 1000
#: Windows in Japan writes the former, old Unix systems the latter.
_LEGACY_ENCODINGS = ("cp932", "euc_jp")


def one_form(text: str) -> str:
    """Give a name in the one form in which it is kept (NFC), however it was typed."""
    return unicodedata.normalize("NFC", text)


def forms(text: str) -> tuple[str, ...]:
    """Give all forms in which a name may stand on a disk or in an older database."""
    return tuple(dict.fromkeys([one_form(text), text, unicodedata.normalize("NFD", text)]))


def shown_name(name: str, *, encoding: str | None = None) -> str:
    """Give a file's name as text: bytes that are no UTF-8 are Shift JIS or EUC-JP, else marks of replacement.

    Args:
        name: as Python gives it, with lone surrogates for bytes that are no UTF-8.
        encoding: of bytes that are no UTF-8; if None it is guessed from this name alone.
    """
    text = name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return one_form(text.encode("utf-8", "replace").decode())
    return one_form(_decoded(raw, encoding))


def _decoded(raw: bytes, encoding: str | None) -> str:
    for tried in ("utf-8", encoding or legacy_encoding([raw])):
        if _is_in(raw, tried):
            return raw.decode(tried)
    return raw.decode("utf-8", "replace")


def legacy_encoding(names: Iterable[bytes]) -> str:
    """Guess in which encoding the names of an archive are that are no UTF-8."""
    odd = [name for name in names if not _is_in(name, "utf-8")]
    possible = [
        encoding for encoding in _LEGACY_ENCODINGS if all(_is_in(name, encoding) for name in odd)
    ] or _LEGACY_ENCODINGS[:1]
    # Kanji and kana of EUC-JP, read as Shift JIS, are full of half-width katakana; what is Shift JIS
    # is hardly ever valid as the other.
    is_mixed = any(
        "\uff61" <= letter <= "\uff9f" for name in odd for letter in name.decode("cp932", "ignore")
    )
    return possible[-1] if is_mixed else possible[0]


def _is_in(name: bytes, encoding: str) -> bool:
    try:
        text = name.decode(encoding)
    except UnicodeDecodeError:
        return False
    # Python takes these for bytes that Windows leaves undefined.
    return not any("\uf8f0" <= letter <= "\uf8f3" for letter in text)


def packed_name(name: str, *, encoding: str | None = None) -> str:
    """Do what `shown_name` does, and shorten names of zip and tar files that no database could index."""
    shown = shown_name(name, encoding=encoding)
    if len(shown.encode()) <= _LONGEST_NAME_BYTES:
        return shown
    digest = hashlib.sha256(shown.encode()).hexdigest()[:16]
    return f"{shown[:100]}…{digest}{PurePosixPath(shown).suffix[:10]}"


def natural(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Give a key that sorts 2 before 10, whether they are half or full width; then as they are written."""
    # By their length first, since Python makes no number of thousands of digits.
    plain = unicodedata.normalize("NFKC", name).casefold()
    parts: list[str | tuple[int, str]] = [
        (len(part.lstrip("0")), part.lstrip("0")) if number % 2 else part
        for number, part in enumerate(re.split(r"([0-9]+)", plain))
    ]
    return parts, name


class UniqueNames:
    """These names are shown for those of one archive or folder, no two alike.

    Several can look the same: as bytes of an unknown encoding, or in Unicode's two forms.
    """

    def __init__(self, *, encoding: str | None = None) -> None:
        self._encoding = encoding
        self._shown: dict[str, str] = {}
        self._taken: set[str] = set()

    def shown(self, name: str) -> str:
        """Show a name; the same one again as before."""
        known = self._shown.get(name.removeprefix("./"))
        if known is None:
            known = self._shown[name.removeprefix("./")] = self.another(name)
        return known

    def another(self, name: str) -> str:
        """Show a name; the same one again with a number."""
        plain = path = packed_name(name, encoding=self._encoding)
        number = 1
        while path in self._taken:
            number += 1
            file = PurePosixPath(plain)
            path = str(file.with_name(f"{file.stem} ({number}){file.suffix}"))
        self._taken.add(path)
        return path
