"""This module keeps the folder of an export: what it wrote there itself it may write again, and nothing else.

A list in the folder, `.fumikura-export.jsonl`, names files before they are put in their places, with the
version of what they hold. So an export that was interrupted goes on, one that is done again writes what has
changed since, and what somebody else put there, or changed, stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fumikura.core.errors import UsageError

LIST_NAME = ".fumikura-export.jsonl"
#: What is written in one go takes its place at the end; what a killed export left is written over.
_UNFINISHED = ".fumikura-unfinished"
#: What people give to have it so.
_OPTIONS = {
    **{name: f"--{name}" for name in ("format", "book", "page", "archive", "recipe", "unsure")},
    "run_id": "--run",
    "file_per": "--file-per",
    "labels": "--label",
    "min_confidence": "--min-confidence",
    "base_url": "--base-url",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """This is a line of the list: files that are written together.

    Attributes:
        key: of what they hold, such as a page's file name.
        version: of what they hold.
        files: SHA-256 by path below the folder.
        before: likewise, of the files that these replace. Killed at the wrong moment, one is still there.
    """

    key: str
    version: str
    files: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)


class NewFiles:
    """These are files that are filled one after the other, and take their places together, or not at all."""

    def __init__(self, folder: Path, own: _Entry | None) -> None:
        self._folder = folder
        self._own = own
        self._unfinished: dict[str, Path] = {}
        self.written: dict[str, str] = {}
        self.replaced: dict[str, str] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to be filled.

        Args:
            name: path below the folder, with forward slashes.

        Raises:
            UsageError: there is a file that the export did not write, or that was changed since.
        """
        target = self._folder / name
        if (found := self._own_digest(name)) is not None:
            self.replaced[name] = found
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}{_UNFINISHED}")
        self._unfinished[name] = unfinished
        with unfinished.open("w+b") as file:
            yield file
            file.seek(0)
            self.written[name] = hashlib.file_digest(file, "sha256").hexdigest()

    def _own_digest(self, name: str) -> str | None:
        """Compute the digest of a file that the export wrote; None if there is none."""
        target = self._folder / name
        if not os.path.lexists(target):
            return None
        known = {self._own.files.get(name), self._own.before.get(name)} if self._own else {None}
        if target.is_symlink() or not target.is_file() or known == {None}:
            raise UsageError(
                f"{target} is there already and not of this export; name another folder, or move it away"
            )
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found not in known:
            raise UsageError(
                f"{target} was changed since it was exported; move it away to have it written anew,"
                " or name another folder"
            )
        return found

    def put_in_place(self) -> None:
        """Move the files to where they belong, and delete earlier ones that are no more."""
        gone = set(self._own.files if self._own else ()) - self.written.keys()
        for name, unfinished in self._unfinished.items():
            unfinished.replace(self._folder / name)
        for name in gone:
            if self._own_digest(name) is not None:
                (self._folder / name).unlink()

    def drop_unfinished(self) -> None:
        """Delete what did not take its place."""
        for unfinished in self._unfinished.values():
            unfinished.unlink(missing_ok=True)


class ExportFolder:
    """This is a folder that an export fills. `opened_folder` opens one.

    Only where an entry stands in the list is kept in memory: one can name hundreds of files.
    """

    def __init__(self, path: Path, listing: IO[bytes], places: dict[str, int]) -> None:
        self.path = path
        self._listing = listing
        self._places = places

    def holds(self, key: str, version: str) -> bool:
        """Tell whether the files of something are there, and hold this version of it."""
        entry = self._entry(key)
        return (
            entry is not None
            and entry.version == version
            and all((self.path / name).is_file() for name in entry.files)
        )

    @contextmanager
    def new_files(self, key: str, version: str) -> Iterator[NewFiles]:
        """Open files of something, to be filled; all take their places at the end of the block, or none."""
        new = NewFiles(self.path, self._entry(key))
        try:
            yield new
            # Listed first: whoever goes on after a crash between the two lines knows the files that it finds.
            self._note(_Entry(key, version, new.written, new.replaced))
            new.put_in_place()
        finally:
            new.drop_unfinished()

    def _entry(self, key: str) -> _Entry | None:
        place = self._places.get(key)
        if place is None:
            return None
        self._listing.seek(place)
        return _Entry(**json.loads(self._listing.readline()))

    def _note(self, entry: _Entry) -> None:
        self._places[entry.key] = self._listing.seek(0, os.SEEK_END)
        values = {name: getattr(entry, name) for name in _Entry.__slots__}
        self._listing.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        self._listing.flush()


@contextmanager
def opened_folder(
    path: Path, what: Mapping[str, Any], *, goes_on: Callable[[Mapping[str, Any]], bool] = lambda _held: False
) -> Iterator[ExportFolder]:
    """Open a folder for an export, and make it if there is none.

    Args:
        what: is exported, and how; an export of anything else needs a folder of its own.
        goes_on: tells of what the folder holds otherwise whether this is more of the same.

    Raises:
        UsageError: it is no folder, holds another export, or one is at work in it.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; name a folder to export into")
    path.mkdir(parents=True, exist_ok=True)
    list_path = path / LIST_NAME
    list_path.touch()
    with list_path.open("r+b") as listing:
        _lock(listing, path)
        yield ExportFolder(path, listing, _find_entries(listing, path, what, goes_on))


def _lock(listing: IO[bytes], folder: Path) -> None:
    """Keep other exports out of the folder until the list is closed; a killed one holds no lock."""
    try:
        import fcntl
    except ImportError:  # Windows: there, two of them can come into each other's way
        return
    try:
        fcntl.flock(listing, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"another export is writing into {folder}; wait for its end, or name another"
        ) from error
    except OSError:  # some shared folders know no locks
        return


def _find_entries(
    listing: IO[bytes],
    folder: Path,
    what: Mapping[str, Any],
    goes_on: Callable[[Mapping[str, Any]], bool],
) -> dict[str, int]:
    """Find where the last entry of each key begins; an entry that a crash cut off is dropped."""
    places: dict[str, int] = {}
    end, held = 0, None
    try:
        for line in listing:
            if not line.endswith(b"\n"):
                break
            values = json.loads(line)
            if end == 0 or "export" in values:
                held = values["export"]
            else:
                places[_Entry(**values).key] = end
            end += len(line)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / LIST_NAME} is damaged; delete that folder, or name another") from error
    if held is not None and held != what and not goes_on(held):
        raise UsageError(_another(folder, held, what))
    listing.truncate(end)
    if held != what:
        listing.seek(end)
        listing.write(json.dumps({"export": what}, ensure_ascii=False).encode() + b"\n")
        listing.flush()
    return places


def _another(folder: Path, held: Mapping[str, Any], what: Mapping[str, Any]) -> str:
    """Say what a folder holds that this export must leave alone."""
    if {**held, "run_id": what.get("run_id")} == what and held.get("run_id"):
        run_id = held["run_id"]
        return (
            f"{folder} holds the export of run {run_id}, and this is another one;"
            f" name another folder, or --run {run_id} to go on with that"
        )
    differing = [name for name in {**held, **what} if held.get(name) != what.get(name)]
    told = ", ".join(f"{_OPTIONS.get(name, name)} {held.get(name) or '–'}" for name in differing)
    return f"{folder} holds another export ({told}); name another folder"
