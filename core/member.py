"""A file in an archive, what every kind of archive can do, and what none may claim."""

from __future__ import annotations

import hashlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol

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

#: What unpacks to no more than this does no harm, however well it was packed.
HARMLESS_BYTES = 16 << 20

_LONGEST_NAME_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may claim or reach; beyond it, pages or archives fail with the reason.

    Attributes:
        max_file_bytes: of one page's file.
        max_ratio: how many times its packed size a file, or an archive, may unpack to.
        max_members: files in one zip or tar.
        allow_private_addresses: whether a URL may lead to a host that is not on the public internet.
        patience_s: how long a server of images is asked again that does not answer.
    """

    max_file_bytes: int = 256 << 20
    max_ratio: int = 200
    max_members: int = 100_000
    allow_private_addresses: bool = False
    patience_s: float = 300.0

    def most_bytes(self, packed_bytes: int) -> int:
        """How much so many packed bytes may unpack to."""
        return max(HARMLESS_BYTES, self.max_ratio * packed_bytes)

    def problem(self, size_bytes: int, *, packed_bytes: int | None = None) -> str | None:
        """What is wrong with a file of this size, as the end of a sentence; None if nothing is."""
        if size_bytes > self.max_file_bytes:
            return (
                f"has {size_bytes:,} bytes, more than a page may have;"
                " make it smaller, or raise FUMIKURA_MAX_FILE_BYTES"
            )
        if packed_bytes is not None and size_bytes > self.most_bytes(packed_bytes):
            return (
                f"unpacks from {packed_bytes:,} to {size_bytes:,} bytes, as only a bomb does;"
                " unpack it yourself, or raise FUMIKURA_MAX_RATIO"
            )
        return None

    def too_many(self) -> str:
        """What is wrong with an archive of more files than `max_members`."""
        return (
            f"holds more than {self.max_members:,} files; split it, unpack it, or raise FUMIKURA_MAX_MEMBERS"
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: path inside the archive, with forward slashes; always text that a database takes.
        open: gives its content, until the next member is asked for; None if there is none to be had.
        problem: why there is none, as the end of a sentence; None also where the content is another member's.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]] | None
    problem: str | None = None


class Packed(Protocol):
    """A zip or tar file, wherever it lies; equal as long as it is the same and unchanged."""

    @property
    def size_bytes(self) -> int: ...

    def open(self) -> IO[bytes]:
        """Its content, seekable."""
        ...


class Container(Protocol):
    """An archive that is open. Any thread may read from it."""

    def members(self) -> Iterator[Member]:
        """All that can be listed; then, if that is not all, an error from DAMAGES or an ArchiveError."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            KeyError: there is none of this name.
            PageError: it has a problem.
        """
        ...


def shown_name(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are Shift JIS, or else marks of replacement."""
    text = name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("utf-8", "replace")


def packed_name(name: str) -> str:
    """`shown_name` of a file in a zip or tar, where names may have any length; a database indexes no such."""
    shown = shown_name(name)
    if len(shown.encode()) <= _LONGEST_NAME_BYTES:
        return shown
    digest = hashlib.sha256(shown.encode()).hexdigest()[:16]
    return f"{shown[:100]}…{digest}{PurePosixPath(shown).suffix[:10]}"
