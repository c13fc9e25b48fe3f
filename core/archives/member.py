"""This module says what a file in an archive is, and what every kind of archive can do."""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

#: What a share that is not mounted, hangs or is forbidden to this machine gives for a file that is well.
_LOST_SHARE = frozenset(
    number
    for name in (
        *(
            "ENOENT",
            "EACCES",
            "EPERM",
            "ESTALE",
            "EIO",
            "ENOTCONN",
            "ENODEV",
            "ENXIO",
            "ENOLINK",
            "EREMOTEIO",
        ),
        *("ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ECONNREFUSED", "ECONNABORTED", "ECONNRESET", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED"),
    )
    if (number := getattr(errno, name, None)) is not None  # not every system has all
)

#: File systems count in steps of up to two seconds.
_SETTLED_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Member:
    """A member is a file in an archive.

    Attributes:
        name: path inside the archive, with forward slashes; always text that a database takes.
        open: gives its content, until the next member is asked for; None if there is none to be had.
        problem: why there is none, as the end of a sentence.
        left_out: why it is no page, whatever its name, as the beginning of a sentence.
        stamp: the same text as long as the content is the same, and known without a look at it; None if
            nothing tells.
        digest: the SHA-256 of its content, where that is known already.
        label: what people call the page, such as `12 recto`; None if nobody says.
        canvas: URI of the IIIF canvas that shows it, with its area; None if there is none.
    """

    name: str
    size_bytes: int
    open: Callable[[], IO[bytes]] | None
    problem: str | None = None
    left_out: str | None = None
    stamp: str | None = None
    digest: str | None = None
    label: str | None = None
    canvas: str | None = None


def file_stamp(size_bytes: int, changed_ns: int) -> str | None:
    """Make the stamp of a file; None of one that was changed just now, and may be again at the same time."""
    is_settled = time.time_ns() - changed_ns > _SETTLED_NS
    return f"{size_bytes}:{changed_ns}" if is_settled else None


def is_lost_share(error: BaseException) -> bool:
    """Tell whether another machine may well be able to read what this one cannot."""
    return isinstance(error, OSError) and error.errno in _LOST_SHARE


class Packed(Protocol):
    """This is a zip or tar file, wherever it lies; two are equal if the file is the same and unchanged."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def stamp(self) -> str | None: ...

    def open(self) -> IO[bytes]:
        """Open its content, which is seekable."""
        ...


class Container(Protocol):
    """A container is an archive that is open. Any thread may read from it."""

    def members(self) -> Iterator[Member]:
        """Yield all that can be listed; then, if more was there, raise one of DAMAGES or an ArchiveError.

        A name that comes once more is a newer version of that file, and the older one counts no more.
        """
        ...

    def read(self, name: str, digest: str | None = None) -> bytes:
        """Read the bytes of a member: of several versions the newest.

        Args:
            digest: their SHA-256; it spares a compressed tar from being searched to its end.

        Raises:
            KeyError: there is none of this name.
            PageError: it has a problem.
        """
        ...
