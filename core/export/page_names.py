"""This module keeps pages apart in files that know a page by its name alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fumikura.core.errors import UsageError
from fumikura.core.read_page import ReadPage


def distinctly_named(pages: Iterable[ReadPage]) -> Iterator[ReadPage]:
    """Give these pages, and refuse the second one of a name: in the file, both would be one page.

    Raises:
        UsageError: two of them have the same name.
    """
    names: set[str] = set()
    for page in pages:
        if page.name in names:
            raise UsageError(
                f"two pages are called {page.name}, and this format knows pages by name; export them apart,"
                " with --file-per book, --book or --archive"
            )
        names.add(page.name)
        yield page
