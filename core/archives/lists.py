"""This module reads lists of archives: files of one name a line, or what stands on the standard input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from fumikura.core.errors import ArchiveError

_STANDARD_INPUT = "-"


def with_lists(archives: Sequence[str], standard_input: BinaryIO) -> list[str]:
    """Give the archives, and in place of `@list.txt` and `-` those that stand in them.

    Names are separated by line ends, or by zero bytes as `find -print0` writes them. They count from where
    the command runs, as if they were typed.

    Raises:
        ArchiveError: a list is missing, unreadable or empty.
    """
    found: list[str] = []
    for archive in archives:
        if archive == _STANDARD_INPUT:
            found += _names(standard_input.read(), "the standard input")
        elif archive.startswith("@") and not os.path.lexists(archive):
            found += _names(_content(archive[1:]), archive[1:])
        else:
            found.append(archive)
    return found


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ArchiveError(f"the list {path} cannot be read ({error.strerror}); correct the path") from error


def _names(data: bytes, where: str) -> list[str]:
    text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    names = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
    if not (named := [name for name in names if name.strip()]):
        raise ArchiveError(f"{where} names no archive; write one a line into it")
    return named
