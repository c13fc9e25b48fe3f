"""Reads archives of scanned Japanese books in kuzushiji into a database.

Public is what `__all__` names; docs/library.md shows it in use. Everything else in this package is
private, and may change with any version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fumikura.core.errors import FumikuraError, PageError
from fumikura.core.library import Database, Reader, load_reader, open_database, read_image, read_images
from fumikura.core.page import Box, Character, Reading

if TYPE_CHECKING:
    from fumikura.core.store.lookup import PageSummary
    from fumikura.core.store.search import Hit
else:

    def __getattr__(name: str) -> type:
        """Import what needs SQLAlchemy only when it is asked for."""
        if name == "Hit":
            from fumikura.core.store.search import Hit

            return Hit
        if name == "PageSummary":
            from fumikura.core.store.lookup import PageSummary

            return PageSummary
        raise AttributeError(f"module 'fumikura' has no attribute {name!r}")


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
