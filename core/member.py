"""A file in an archive, and what every kind of archive can do."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from core.errors import PageError

#: A larger file is no page; a few bytes of zip can claim to be one.
MAX_BYTES = 2 << 30

#: What reading damaged zip and tar files raises, found by feeding them damaged files.
DAMAGES = (
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: path inside the archive, with forward slashes.
        open: gives its content, until the next member is asked for; None for links, devices and the like.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]] | None


class Container(Protocol):
    """An archive that is open. Any thread may read from it."""

    def members(self) -> Iterator[Member]: ...

    def read(self, name: str) -> bytes:
        """The bytes of a member; KeyError if there is none of this name."""
        ...


def check_size(size_bytes: int) -> None:
    if size_bytes > MAX_BYTES:
        raise PageError(f"the file has {size_bytes:,} bytes, more than a page may have; make it smaller")
