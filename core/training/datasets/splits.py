"""This module chooses which books are for training and which for testing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from fumikura.core.errors import DataSetError

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")


def choose_test_books(
    books: Iterable[str], named: Iterable[str], *, share: float, seed: int
) -> frozenset[str]:
    """Choose the books to test on: those named, else a share of all, by the hash of seed and name.

    The same books and seed give the same choice on every machine.

    Raises:
        DataSetError: no book would be left for one of the splits, or a named one is not among them.
    """
    known, wanted = sorted(set(books)), set(named)
    shown = ", ".join(known)
    if unknown := sorted(wanted - set(known)):
        raise DataSetError(f"there is no book {unknown[0]!r} to test on; the books are {shown}")
    if len(known) < 2:
        raise DataSetError(
            f"all is of one book, {shown}; training and test need different books:"
            " add another, and say which is for testing with --test-book"
        )
    if wanted == set(known):
        raise DataSetError(f"--test-book names every book there is ({shown}); leave one to learn from")
    if wanted:
        return frozenset(wanted)
    n_test = min(max(1, round(share * len(known))), len(known) - 1)
    known.sort(key=lambda book: hashlib.sha256(f"{seed} {book}".encode()).digest())
    return frozenset(known[:n_test])
