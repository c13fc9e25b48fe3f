"""This module opens folders, zip and tar files, here or behind a URL: it lists their files and reads one.

Members are only ever read as bytes, never extracted. Links and devices inside zip and
tar files could point anywhere, and count as files without content.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

from fumikura.core.archives.member import (
    DAMAGES,
    Container,
    Member,
    Packed,
    is_lost_share,
    packed_name,
    shown_name,
)
from fumikura.core.archives.remote import RemoteFolder, remote_file
from fumikura.core.archives.tars import open_tar
from fumikura.core.archives.urls import Place, Url
from fumikura.core.archives.zip_directory import check_directory
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits

_CHUNK_BYTES = 1 << 20


#: What a zip or tar is called.
_PACKED_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"})


def is_packed(place: Place) -> bool:
    """Tell whether a place is called like a zip or tar file."""
    return place.suffix.lower() in _PACKED_SUFFIXES


def open_container(place: Place, limits: Limits) -> Container:
    """Open the archive at a place, and keep it open for the next call.

    Behind a URL only a zip or tar that is called so is one; all else is a folder.

    Raises:
        ArchiveError: it is no archive, damaged, or holds too much.
        StorageError: the server that holds it does not answer.
        OSError: it is gone or unreadable.
    """
    if isinstance(place, Url) and not is_packed(place):
        return RemoteFolder(place, limits)
    if isinstance(place, Path) and place.is_dir():
        return Folder(place, limits)
    try:
        file = remote_file(place, limits) if isinstance(place, Url) else local_file(place)
        return _open_unchanged(file, limits)
    except DAMAGES as error:
        if is_lost_share(error):
            raise
        raise ArchiveError(
            f"{place} is damaged or cut off ({error}); copy it again from its source"
        ) from error


@dataclass(frozen=True, slots=True)
class _LocalFile:
    path: Path
    size_bytes: int
    mtime_ns: int

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> IO[bytes]:
        return self.path.open("rb")


def local_file(path: Path) -> _LocalFile:
    status = path.stat()
    return _LocalFile(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _open_unchanged(file: Packed, limits: Limits) -> Container:
    with file.open() as opened:
        is_zip = zipfile.is_zipfile(opened)
        opened.seek(0)
        if not is_zip and not tarfile.is_tarfile(opened):
            raise ArchiveError(f"{file} is no zip or tar file, or damaged; copy it again from its source")
    return Zip(file, limits) if is_zip else open_tar(file, limits)


class Folder:
    """A folder is a directory and all below it, also through symbolic links, each directory once."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits

    def members(self) -> Iterator[Member]:
        seen: set[tuple[int, int]] = set()
        errors: list[OSError] = []
        for folder, subfolders, names in os.walk(self._path, onerror=errors.append, followlinks=True):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                subfolders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            prefix = Path(folder).relative_to(self._path)
            yield from (self.member((prefix / name).as_posix()) for name in names)
        for error in errors:
            reason = f"{error.filename} cannot be read ({error.strerror}); correct its permissions"
            raise ArchiveError(reason) from error

    def member(self, name: str) -> Member:
        """Give a file by its real name."""
        path, shown = self._path / name, shown_name(name)
        try:
            status = path.stat()
        except OSError as error:
            return Member(shown, 0, None, f"leads nowhere ({error.strerror}); put the image itself there")
        if not stat.S_ISREG(status.st_mode):
            return Member(shown, 0, None, "is a device or the like; put the image itself there")
        if problem := self._limits.problem(status.st_size):
            return Member(shown, status.st_size, None, problem)
        return Member(shown, status.st_size, lambda: path.open("rb"))

    def read(self, name: str) -> bytes:
        real = name if os.path.lexists(self._path / name) else self._real_name(name)
        member = self.member(real)
        if member.open is None:
            is_gone = not os.path.exists(self._path / real)  # noqa: PTH110  # `Path.exists` may raise
            raise PageError(f"{name} {member.problem}", is_only_here=is_gone)
        with member.open() as file:
            return file.read(self._limits.max_file_bytes)

    def _real_name(self, name: str) -> str:
        """Find the real name of a file that is shown under another, because it is no UTF-8."""
        real = Path()
        for part in name.split("/"):
            try:
                entries = list((self._path / real).iterdir())
            except NotADirectoryError as error:
                raise KeyError(name) from error
            found = [entry.name for entry in entries if shown_name(entry.name) == part]
            if not found:
                raise KeyError(name)
            real /= found[0]
        return real.as_posix()


class Zip:
    """This class reads a zip file; `ZipFile` itself lets many threads read."""

    def __init__(self, file: Packed, limits: Limits) -> None:
        self._opened = file.open()
        try:
            check_directory(self._opened, str(file), limits)
            self._zip = _open_zip(self._opened)
        except BaseException:
            self._opened.close()  # the error's frames may keep `self`, and nobody knows for how long
            raise
        infos = self._zip.infolist()
        self._infos = {packed_name(info.filename.replace("\\", "/")): info for info in infos}
        self._problems: dict[str, str] = {}
        left = most = limits.most_bytes(file.size_bytes)
        for name, info in self._infos.items():
            problem = _zip_problem(info, limits)
            # Members may overlap, so that each looks harmless.
            if problem is None and info.file_size > left:
                problem = f"is beyond the {most:,} bytes to which so small an archive may unpack; unpack it"
            if problem is None:
                left -= info.file_size
            else:
                self._problems[name] = problem

    def __del__(self) -> None:
        if hasattr(self, "_opened"):
            self._opened.close()  # `ZipFile` leaves open what it has not opened

    def members(self) -> Iterator[Member]:
        for name, info in self._infos.items():
            if name.endswith("/"):
                continue
            problem = self._problems.get(name)
            yield Member(name, info.file_size, None if problem else partial(self._zip.open, info), problem)

    def read(self, name: str) -> bytes:
        info = self._infos[name]
        if problem := self._problems.get(name):
            raise PageError(f"{name} {problem}")
        with self._zip.open(info) as file:
            # Not at once: that would unpack all there is, whatever size the header claims.
            return b"".join(iter(partial(file.read, _CHUNK_BYTES), b""))


def _zip_problem(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    if info.flag_bits & 1:
        return "is encrypted; unpack the archive with its password and name the folder"
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the file was made on Windows
    if kind not in (0, stat.S_IFREG):
        return "is a link or a device, which are not followed; put the image itself there"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` unpacks these without end; scanners and libraries do not write them.
        return f"is packed by method {info.compress_type}, which is not read; make an ordinary zip"
    return limits.problem(info.file_size, packed_bytes=info.compress_size)


def _open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip file and decode its names: macOS writes UTF-8 without saying so, Windows in Japan cp932."""
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return zipfile.ZipFile(file, metadata_encoding=encoding)
    return zipfile.ZipFile(file)
