"""Open a SQLite file to ask it, which changes nothing: neither the file nor what lies beside it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

#: What SQLite lays beside a file while it changes: parts of the newest state stand there alone.
_BESIDE = ("-wal", "-journal")


def open_to_read(file: Path, *, timeout_s: float) -> sqlite3.Connection:
    """Open a file that may belong to somebody else, lie where nothing can be written, or be in use.

    Raises:
        sqlite3.OperationalError: it cannot be read, or not without writing.
    """
    if may_write(file):
        # With mode=ro SQLite makes the two files of a write-ahead log all the same, and leaves them there:
        # if they are ours and the file is not, its owner can no longer write.
        return _open(file, "mode=rw", timeout_s)
    if any(_beside(file, ending).exists() for ending in _BESIDE):
        return _open_changing(file, timeout_s)
    # SQLite wants to write beside a file with a write-ahead log, even to read it, unless told that nobody
    # changes it. Whoever does has a log there; so it is looked for anew at each transaction.
    return _open(file, "mode=ro&immutable=1", timeout_s)


def may_write(file: Path) -> bool:
    """Tell whether this process may change a file, and make others beside it."""
    return os.access(file, os.W_OK) and os.access(file.resolve().parent, os.W_OK)


def _open_changing(file: Path, timeout_s: float) -> sqlite3.Connection:
    connection = _open(file, "mode=ro", timeout_s)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        raise sqlite3.OperationalError(
            f"changes that stand in {file.name}-wal or -journal cannot be taken up by one who may not write;"
            " copy the file with those beside it to a folder of yours"
        ) from error
    return connection


def _open(file: Path, how: str, timeout_s: float) -> sqlite3.Connection:
    url = f"file:{quote(str(file.absolute()))}?{how}"
    connection = sqlite3.connect(url, uri=True, timeout=timeout_s, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _beside(file: Path, ending: str) -> Path:
    return file.resolve().with_name(file.resolve().name + ending)
