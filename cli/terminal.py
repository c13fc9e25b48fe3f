"""The standard streams can be written to, whatever they are: closed, gone, full, or without kanji.

Text that a terminal cannot show comes with escapes (`\\u5b57`). What is said to people on stderr is lost
without harm; results on stdout are not.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from fumikura.core.errors import FumikuraError

_STDIN, _STDOUT, _STDERR = range(3)


class ReaderGoneError(Exception):
    """Whoever read our results went away, as `head` does when it has seen enough."""


class _File(io.FileIO):
    """This file waits where another program has made the terminal non-blocking."""

    def write(self, data: Any) -> int:
        while (n_written := super().write(data)) is None:
            select.select([], [self], [])
        return n_written


class _Results(_File):
    """This file says what became of results that it cannot take, and then drops them.

    Not by an OSError: rich and click would end the program over one, each in its own way.
    """

    is_lost = False

    def write(self, data: Any) -> int:
        if self.is_lost:
            return len(memoryview(data))
        try:
            return super().write(data)
        except BrokenPipeError:
            self.is_lost = True
            raise ReaderGoneError from None
        except OSError as error:
            self.is_lost = True
            raise FumikuraError(
                f"the results cannot be written to standard output ({error.strerror}); send them elsewhere"
            ) from error


class _Messages(_File):
    """This file takes everything, also when nobody can receive it: the work that it tells of goes on."""

    def write(self, data: Any) -> int:
        with suppress(OSError):
            return super().write(data)
        return len(memoryview(data))


def prepare_streams() -> None:
    """Make the streams of this process safe to write to; to be called before anything is opened."""
    _fill_closed_descriptors()
    if sys.stdin is None:  # Python has no stream where the descriptor was closed when it started
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(_STDIN, closefd=False)))
    sys.stdout = _text(_Results(_STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Messages(_STDERR, "w", closefd=False), sys.stderr)


def is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") == "utf8"


def can_show(text: str, stream: TextIO) -> bool:
    """Tell whether a stream's encoding has these characters."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Tell whether colour is welcome where there is a terminal: https://no-color.org, and no dumb one."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _fill_closed_descriptors() -> None:
    """Open /dev/null in the place of closed standard streams.

    The next file to be opened would get the number of one: messages would be written into the database.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)
    os.close(number)


def _text(file: io.FileIO, like: TextIO | None) -> io.TextIOWrapper:
    """Make a text stream of a file, in the encoding of the stream that stood there."""
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=like.encoding if like is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=file.isatty() or isinstance(file, _Messages),
    )
