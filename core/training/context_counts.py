"""This module counts which characters follow each other in texts: all that trains a context model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fumikura.core.errors import TruthError
from fumikura.core.folding import fold
from fumikura.core.recognition.context import OTHER, TrigramCounts
from fumikura.core.vocabulary import clean_text, commonest_labels

_LARGEST = int(np.iinfo(np.uint16).max)


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
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TruthError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise TruthError(f"{path} cannot be read ({error.strerror}); correct that") from error
    if not content.startswith("# "):
        yield path.stem, content
        return
    for page in f"\n{content}".split("\n# ")[1:]:
        name, _, text = page.partition("\n")
        yield name.strip(), text


def count_trigrams(texts: Mapping[str, str]) -> TrigramCounts:
    """Count three characters at a time, across the columns of a page but not from page to page.

    Characters are folded: texts write 氣 where the classifier, most of whose labels come from fonts
    and from boxes, may say 気, and which of the two stands on the page is its business alone.
    """
    pages = [fold(clean_text(text)) for text in texts.values()]
    characters = tuple(commonest_labels(pages, _LARGEST))
    numbers = {character: number for number, character in enumerate(characters, start=1)}
    counts: Counter[tuple[int, int, int]] = Counter()
    for page in pages:
        row = [OTHER, OTHER, *(numbers.get(character, OTHER) for character in page)]
        counts.update(zip(row, row[1:], row[2:], strict=False))
    rows = sorted(counts)
    return TrigramCounts(
        characters,
        np.array(rows, np.uint16),
        np.array([min(counts[row], _LARGEST) for row in rows], np.uint16),
    )
