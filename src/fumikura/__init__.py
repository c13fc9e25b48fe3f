"""This package reads archives of scanned Japanese books in kuzushiji into a database.

Public is what `__all__` names; docs/library.md shows it in use. Everything else in this package is
private, and may change with any version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "Box",
    "Character",
    "Database",
    "FumikuraError",
    "Hit",
    "PageError",
    "PageSummary",
    "Reader",
    "Reading",
    "load_reader",
    "open_database",
    "read_image",
    "read_images",
]

if TYPE_CHECKING:
    from fumikura.core.errors import FumikuraError, PageError
    from fumikura.core.library import Database, Reader, load_reader, open_database, read_image, read_images
    from fumikura.core.page import Box, Character, Reading
    from fumikura.core.store.page_list import PageSummary
    from fumikura.core.store.search import Hit
else:

    def __getattr__(name: str) -> object:
        """Import a name when it is asked for: commands and workers pass here too, and need none of them."""
        from importlib import import_module

        homes = {"Box": "page", "Character": "page", "Reading": "page", "FumikuraError": "errors"}
        homes |= {"PageError": "errors", "Hit": "store.search", "PageSummary": "store.page_list"}
        if name in __all__:
            return getattr(import_module(f"fumikura.core.{homes.get(name, 'library')}"), name)
        raise AttributeError(f"module 'fumikura' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
