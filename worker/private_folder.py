"""A run keeps its queue and the logs of its workers in a private folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fumikura.worker.identity import is_dead, worker_name

_PREFIX = "fumikura-run-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user may enter, and remove it at the end.

    The folders of runs of this host that were killed go too.
    """
    _remove_stale(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # made with mode 0700
    try:
        _owner_file(folder).write_text(worker_name(), encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            is_ours = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
            if is_ours and is_dead(_owner_file(folder).read_text(encoding="utf-8")):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # being made, or being removed, by another run


def _owner_file(folder: Path) -> Path:
    return folder / "owner"
