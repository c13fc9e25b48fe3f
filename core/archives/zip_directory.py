"""Count the files that a zip's directory names before it is parsed: `zipfile` takes them all into memory.

The form of the records stands in PKWARE's APPNOTE.TXT, 4.3.12 to 4.3.16.
"""

from __future__ import annotations

import struct
from typing import IO

from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

_END, _END_BYTES = b"PK\5\6", 22
_END_64, _END_64_BYTES, _LOCATOR, _LOCATOR_BYTES = b"PK\6\6", 56, b"PK\6\7", 20
_LONGEST_COMMENT = (1 << 16) - 1
_ENTRY, _ENTRY_BYTES = b"PK\1\2", 46
#: Of a file's name with all that a zip says beside it; what is longer says nothing of pages.
_BYTES_A_MEMBER = 2000
_PIECE_BYTES = 1 << 20


def check_directory(file: IO[bytes], name: str, limits: Limits) -> None:
    """Refuse a zip that names too many files; leave one that is damaged to `zipfile`.

    Counted are the entries themselves, as the number at the end may claim anything.

    Raises:
        ArchiveError: there are more than `limits.max_members`.
    """
    found = _directory(file)
    if found is None:
        return
    start, size_bytes = found
    if size_bytes > limits.max_members * _BYTES_A_MEMBER:
        raise ArchiveError(f"{name} {limits.too_many()}")
    file.seek(start)
    n_entries, waiting, left = 0, b"", size_bytes
    while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        waiting += piece
        place = 0
        while len(waiting) - place >= _ENTRY_BYTES and waiting.startswith(_ENTRY, place):
            end = place + _ENTRY_BYTES + sum(struct.unpack_from("<3H", waiting, place + 28))
            if end > len(waiting) and left > 0:
                break  # it goes on in the next piece
            place, n_entries = end, n_entries + 1
        if n_entries > limits.max_members:
            raise ArchiveError(f"{name} {limits.too_many()}")
        waiting = waiting[place:]
        if not _ENTRY.startswith(waiting[:4]):
            return


def _directory(file: IO[bytes]) -> tuple[int, int] | None:
    """Find where the directory begins and how long it is, as `zipfile` does; None if no end is found."""
    file_bytes = file.seek(0, 2)
    tail_bytes = min(file_bytes, _END_BYTES + _LONGEST_COMMENT)
    file.seek(file_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    place = len(tail) - _END_BYTES
    if place < 0 or not (tail.startswith(_END, place) and tail.endswith(b"\0\0")):
        place = tail.rfind(_END)  # a comment stands behind it
    if place < 0 or len(tail) - place < _END_BYTES:
        return None
    end = file_bytes - tail_bytes + place
    (size_bytes,) = struct.unpack_from("<I", tail, place + 12)
    locator = end - _LOCATOR_BYTES
    if locator >= 0:
        file.seek(locator)
        if file.read(4) == _LOCATOR and locator >= _END_64_BYTES:
            file.seek(locator - _END_64_BYTES)
            record = file.read(_END_64_BYTES)
            if record.startswith(_END_64):
                end = locator - _END_64_BYTES
                (size_bytes,) = struct.unpack_from("<Q", record, 40)
    start = end - size_bytes  # also where something stands before the archive
    return (start, size_bytes) if start >= 0 else None
