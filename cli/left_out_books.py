"""This module keeps books out of a training or an alignment, and says which names fit no book."""

from __future__ import annotations

from collections.abc import Collection

from fumikura.cli.output import say


class LeftOut:
    """This set of books is left out (--without-book), and remembers which of them there were.

    A name that fits nothing is most likely mistyped, and the book is then learnt that is to be scored.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._met: set[str] = set()

    def __contains__(self, book: object) -> bool:
        if book not in self._names:
            return False
        self._met.add(str(book))
        return True

    def say_unknown(self) -> None:
        """Name the books for which nothing was left out, when all was looked through."""
        for name in self._names:
            if name not in self._met:
                say(f"--without-book {name} leaves nothing out; is the name right?")
