"""What we write never replaces what we did not write: every file goes through here.

A file may be replaced if it says of itself that fumikura wrote it; each format has its own way to say so,
and whoever writes it knows how to look for that.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fumikura.core.errors import UsageError

#: Tells whether a file says of itself that we wrote it.
IsOurs = Callable[[Path], bool]


def check_place(path: Path, is_ours: IsOurs) -> None:
    """See that nothing stands where a file is to be written, or only what we wrote there before.

    Raises:
        UsageError: something else does.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    # What is no file, such as a pipe, would be waited for.
    if os.path.lexists(path) and not (path.is_file() and is_ours(path)):
        raise UsageError(
            f"{path} is there already, and fumikura did not write it: it stays as it is; name another file"
        )


def check_absent(folder: Path, names: Iterable[str]) -> None:
    """See that a folder holds none of the files that will be written into it; a new one holds none.

    Raises:
        UsageError: one is there, so that the folder is not ours.
    """
    there = next((folder / name for name in names if os.path.lexists(folder / name)), None)
    if there is not None:
        raise UsageError(
            f"{there} is there already, and no training of fumikura began in {folder}: it stays as it is;"
            " name an empty or a new folder"
        )


def in_our_folder(path: Path) -> bool:
    """Take for ours whatever stands in a folder that is: an empty one was asked for when we began there."""
    return path.is_file()


@contextmanager
def replacing(path: Path, is_ours: IsOurs) -> Iterator[Path]:
    """Give a new file to write, which takes the place of `path` at the end; if that fails, nothing stays.

    Raises:
        UsageError: something stands there that we did not write.
    """
    check_place(path, is_ours)
    # Its name is nobody's, too short to be too long, and of no kind that is listed as a page.
    unfinished = path.with_name(f".fumikura-{secrets.token_hex(6)}.unfinished")
    try:
        yield unfinished
        check_place(path, is_ours)  # again: hours may have passed
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
