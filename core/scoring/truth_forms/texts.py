"""This module reads texts that people typed: plain or in Koji, a page a file, or several under `# NAME`."""

from __future__ import annotations

import re
from pathlib import Path

from fumikura.core import koji
from fumikura.core.errors import TruthError
from fumikura.core.page import Truth

#: The line above each page of a file that holds several.
_TITLE = re.compile(r"# *(\S.*)")


def read(path: Path) -> dict[str, Truth]:
    """Read the text of each page; a file without titles is the page that it is called after.

    Raises:
        TruthError: the file is not UTF-8, or has two texts of one page.
    """
    return {name: Truth(text=text) for name, text in read_texts(path).items()}


def read_texts(path: Path) -> dict[str, str]:
    """Read the same as plain text: of Koji what stands in the columns, without what is written beside them.

    Raises:
        TruthError: the file is not UTF-8, or has two texts of one page.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TruthError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if not _TITLE.match(content.lstrip()):
        return {path.stem: _plain(content)}
    pages: dict[str, list[str]] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if title := _TITLE.fullmatch(line.rstrip()):
            name = title[1]
            if name in pages:
                raise TruthError(f"{path}, line {number}: there is a text of {name} before; leave one out")
            pages[name] = []
        elif pages:
            pages[name].append(line)
    return {name: _plain("\n".join(lines).strip("\n")) for name, lines in pages.items()}


def _plain(text: str) -> str:
    return koji.plain_text(text) if koji.is_koji(text) else text
