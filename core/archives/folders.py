"""This module lists a folder with all below it, and finds a file in it by its shown name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fumikura.core.archives.kinds import is_book_name
from fumikura.core.archives.member import Member, file_stamp
from fumikura.core.archives.names import UniqueNames, forms, natural, shown_name
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits


class Folder:
    """A folder is a directory and all below it, also through symbolic links, each directory once."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits

    def members(self) -> Iterator[Member]:
        errors: list[OSError] = []
        for path, shown in self._files(errors):
            if shown.endswith("/"):
                left_out = "another way into a folder that is listed"
                yield Member(shown.removesuffix("/"), 0, None, left_out=left_out)
            else:
                yield self._member(path, shown)
        for error in errors:
            reason = f"{error.filename} cannot be read ({error.strerror}); correct its permissions"
            raise ArchiveError(reason) from error

    def _files(self, errors: list[OSError]) -> Iterator[tuple[Path, str]]:
        """Yield the files and their shown names in natural order; note what cannot be looked into.

        A folder that is met once more comes with a / behind its name.
        """
        seen: set[tuple[int, int]] = set()
        # Of each folder on the way down, what is still to come, the next one last. A folder ends with /.
        waiting = [[(self._path, "")]]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                continue
            path, shown = waiting[-1].pop()
            if shown and not shown.endswith("/"):
                yield path, shown
                continue
            try:
                status = path.stat()
                is_known = (status.st_dev, status.st_ino) in seen
                seen.add((status.st_dev, status.st_ino))
                inside = [] if is_known else [(path / name, shown + below) for name, below in _inside(path)]
            except OSError as error:
                errors.append(error)
                continue
            if is_known:
                yield path, shown
            waiting.append(sorted(inside, key=lambda entry: natural(entry[1]), reverse=True))

    def member(self, name: str) -> Member:
        """Give a file by its real name."""
        return self._member(self._path / name, shown_name(name))

    def _member(self, path: Path, shown: str) -> Member:
        try:
            status = path.stat()
        except OSError as error:
            return Member(shown, 0, None, f"leads nowhere ({error.strerror}); put the image itself there")
        if not stat.S_ISREG(status.st_mode):
            return Member(shown, 0, None, "is a device or the like; put the image itself there")
        # Of a book, one page is read at a time.
        if not is_book_name(shown) and (problem := self._limits.problem(status.st_size)):
            return Member(shown, status.st_size, None, problem)
        stamp = file_stamp(status.st_size, status.st_mtime_ns)
        return Member(shown, status.st_size, lambda: path.open("rb"), stamp=stamp)

    def read(self, name: str, digest: str | None = None) -> bytes:  # noqa: ARG002
        path = self.path(name)
        member = self._member(path, name)
        if member.open is None:
            is_gone = not os.path.exists(path)  # noqa: PTH110  # `Path.exists` may raise
            raise PageError(f"{name} {member.problem}", is_only_here=is_gone)
        with member.open() as file:
            return file.read(self._limits.max_file_bytes)

    def path(self, name: str) -> Path:
        """Find a file by its shown name; raise KeyError if there is none."""
        return self._path / name if os.path.lexists(self._path / name) else self._real(name)

    def _real(self, name: str) -> Path:
        """Find a file that is shown under another name than its own."""
        path = real_path(self._path, PurePosixPath(name).parts)
        if path is None:
            raise KeyError(name)
        return path


def real_path(folder: Path, shown: Iterable[str]) -> Path | None:
    """Find what is shown under these names, one below the other; None if there is nothing."""
    for name in shown:
        # As a Mac writes it: a look at the whole folder for each page would take long.
        likely = next((form for form in forms(name) if os.path.lexists(folder / form)), None)
        if likely is None:
            try:
                names = {text: real for real, text in _unique(os.listdir(folder)).items()}  # noqa: PTH208
            except OSError:
                return None
            likely = names.get(name)
        if likely is None:
            return None
        folder /= likely
    return folder


def _inside(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what is in a folder: real name and shown name, the latter with a / behind a folder's."""
    with os.scandir(folder) as entries:
        is_folder = {entry.name: entry.is_dir() for entry in entries}
    for name, shown in _unique(is_folder).items():
        yield name, f"{shown}/" if is_folder[name] else shown


def _unique(names: Iterable[str]) -> dict[str, str]:
    """Give for each name in a folder the one under which it is shown; most are shown under their own."""
    unique = UniqueNames()
    return {
        name: unique.shown(name) for name in sorted(names, key=lambda name: (shown_name(name) != name, name))
    }
