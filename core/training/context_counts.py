"""This module counts which characters follow each other in texts: all that trains a context model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from fumikura.core.errors import TruthError
from fumikura.core.folding import fold
from fumikura.core.recognition.context import LEAST_SHARE, ContextModel, fitted_shares
from fumikura.core.recognition.trigrams import OTHER, ContextCounts, TrigramCounts
from fumikura.core.vocabulary import clean_text, commonest_labels

_LARGEST = int(np.iinfo(np.uint16).max)
_BREAK = re.compile(r"^#.*$|[□〓]", re.MULTILINE)
#: In so many parts books are held back, one part after the other.
_PARTS = 4


def read_page_texts(paths: Sequence[Path], *, without_books: Container[str] = ()) -> dict[str, str]:
    """Read the text of each page, by page name, without those of some books.

    A page that stands in several of these files is taken from the first, or its characters
    would follow each other twice.

    Args:
        paths: transcripts ('# PAGE' before each page), files named PAGE.txt, or folders of both.

    Raises:
        TruthError: a file cannot be read, or no text is left.
    """
    texts: dict[str, str] = {}
    for file in (file for path in paths for file in _files(path)):
        for page, text in _pages(file):
            if book_of(page) not in without_books:
                texts.setdefault(page, text)
    if not any(map(clean_text, texts.values())):
        named = ", ".join(map(str, paths))
        raise TruthError(f"{named}: there is no text; name transcripts, or leave fewer books out")
    return texts


def book_of(page: str) -> str:
    """Return the book of a page that is named as CODH names pages, BOOK_00001_1."""
    return page.split("_")[0]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.txt")) if path.is_dir() else [path]


def _pages(path: Path) -> Iterator[tuple[str, str]]:
    """Read page names and texts of a file; one without '# PAGE' at its head is the text of one page."""
    content = _content(path)
    if not content.startswith("# "):
        yield path.stem, content
        return
    for page in f"\n{content}".split("\n# ")[1:]:
        name, _, text = page.partition("\n")
        yield name.strip(), text


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TruthError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise TruthError(f"{path} cannot be read ({error.strerror}); correct that") from error


def read_corpus(path: Path, *, without_books: Container[str] = ()) -> list[str]:
    """Read the texts of a corpus: a file, or all `.txt` files of a folder but those named as a book left out.

    Lines that begin with # are headings, and with □ and 〓, which nobody could read or write, a text breaks.

    Raises:
        TruthError: a file cannot be read, or no text is left.
    """
    files = [file for file in _files(path) if book_of(file.stem) not in without_books]
    texts = [text for file in files for text in _BREAK.split(_content(file)) if clean_text(text)]
    if not texts:
        raise TruthError(f"{path}: there is no text; name a folder of .txt files, or leave fewer books out")
    return texts


def count_context(texts: Mapping[str, str], corpora: Sequence[Sequence[str]] = ()) -> ContextCounts:
    """Count the texts of pages, and each further corpus by itself, with the share of each in an unknown book.

    Characters are folded: texts write 氣 where the classifier, most of whose labels come from fonts
    and from boxes, may say 気, and which of the two stands on the page is its business alone.

    Args:
        texts: by page name.
    """
    pages = {name: fold(clean_text(text)) for name, text in texts.items()}
    others = [[fold(clean_text(text)) for text in corpus] for corpus in corpora]
    characters = tuple(commonest_labels([*pages.values(), *chain(*others)], _LARGEST))
    numbers = {character: number for number, character in enumerate(characters, start=1)}
    counted = [_count(texts, numbers) for texts in (pages.values(), *others)]
    if not others:
        return ContextCounts(characters, tuple(counted))
    shares = _shares(pages, counted[1:], characters)
    kept = [number for number, share in enumerate(shares) if share >= LEAST_SHARE]
    total = sum(shares[number] for number in kept)
    return ContextCounts(
        characters,
        tuple(counted[number] for number in kept),
        tuple(shares[number] / total for number in kept),
    )


def _count(texts: Iterable[str], numbers: Mapping[str, int]) -> TrigramCounts:
    """Count three characters at a time, across the columns of a page but not from page to page."""
    counts: Counter[tuple[int, int, int]] = Counter()
    for text in texts:
        row = [OTHER, OTHER, *(numbers.get(character, OTHER) for character in text)]
        counts.update(zip(row, row[1:], row[2:], strict=False))
    rows = sorted(counts)
    return TrigramCounts(
        np.array(rows, np.uint16),
        np.array([min(counts[row], _LARGEST) for row in rows], np.uint16),
    )


def _shares(
    pages: Mapping[str, str], others: Sequence[TrigramCounts], characters: tuple[str, ...]
) -> list[float]:
    """Fit the shares of corpora, that of pages first, to books that the counts of the others do not hold."""
    numbers = {character: number for number, character in enumerate(characters, start=1)}
    books = sorted({book_of(page) for page in pages})
    alike = np.full(1 + len(others), 1 / (1 + len(others)))
    held_back = []
    for part in range(min(_PARTS, len(books))):
        left_out = set(books[part::_PARTS])
        rest = [text for page, text in pages.items() if book_of(page) not in left_out]
        if not rest:  # of one book nothing can be held back
            return alike.tolist()
        counts = ContextCounts(characters, (_count(rest, numbers), *others), tuple(alike))
        model = ContextModel(counts)
        for page, text in pages.items():
            if book_of(page) in left_out and text:
                row = np.array([numbers.get(character, OTHER) for character in text], np.int64)
                held_back.append(model.probabilities_by_corpus(row))
    shares: list[float] = fitted_shares(np.concatenate(held_back, axis=1), alike, prior=0, rounds=30).tolist()
    return shares
