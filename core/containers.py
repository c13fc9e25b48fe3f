"""Folders, zip and tar files: which files they hold, and the bytes of one.

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
from functools import lru_cache, partial
from pathlib import Path

from core.errors import ArchiveError
from core.member import DAMAGES, Container, Member, check_size
from core.tars import open_tar


def open_container(path: Path) -> Container:
    """The archive at a path, kept open for the next call.

    Raises:
        ArchiveError: it is no archive, damaged or encrypted.
        OSError: it is gone or unreadable.
    """
    status = path.stat()
    try:
        return _open_unchanged(path, status.st_mtime_ns, status.st_size)
    except PermissionError:
        raise
    except DAMAGES as error:
        raise ArchiveError(
            f"{path} is damaged or cut off ({error}); copy it again from its source"
        ) from error


@lru_cache(maxsize=8)
def _open_unchanged(path: Path, _mtime_ns: int, _size_bytes: int) -> Container:
    if path.is_dir():
        return Folder(path)
    if zipfile.is_zipfile(path):
        return Zip(path)
    if not tarfile.is_tarfile(path):
        raise ArchiveError(f"{path} is no zip or tar file, or damaged; copy it again from its source")
    return open_tar(path)


class Folder:
    """A directory and all below it, also through symbolic links, each directory once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def members(self) -> Iterator[Member]:
        seen: set[tuple[int, int]] = set()
        for folder, subfolders, names in os.walk(self._path, onerror=_refuse, followlinks=True):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                subfolders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            prefix = Path(folder).relative_to(self._path)
            yield from (self.member((prefix / name).as_posix()) for name in names)

    def member(self, name: str) -> Member:
        path = self._path / name
        try:
            status = path.stat()
        except OSError:  # a link to nothing
            return Member(name, 0, None)
        is_file = stat.S_ISREG(status.st_mode)
        return Member(name, status.st_size, (lambda: path.open("rb")) if is_file else None)

    def read(self, name: str) -> bytes:
        path = self._path / name
        try:
            check_size(path.stat().st_size)
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise KeyError(name) from error


def _refuse(error: OSError) -> None:
    raise ArchiveError(
        f"{error.filename} cannot be read ({error.strerror}); correct its permissions"
    ) from error


class Zip:
    """A zip file; `ZipFile` itself lets many threads read."""

    def __init__(self, path: Path) -> None:
        self._zip = _open_zip(path)
        self._infos = {info.filename.replace("\\", "/"): info for info in self._zip.infolist()}
        if any(info.flag_bits & 1 for info in self._infos.values()):
            raise ArchiveError(f"{path} is encrypted; unpack it with its password and name the folder")

    def members(self) -> Iterator[Member]:
        for name, info in self._infos.items():
            if not name.endswith("/"):
                kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the file was made on Windows
                is_file = kind in (0, stat.S_IFREG)
                yield Member(name, info.file_size, partial(self._zip.open, info) if is_file else None)

    def read(self, name: str) -> bytes:
        info = self._infos[name]
        check_size(info.file_size)
        return self._zip.read(info)


def _open_zip(path: Path) -> zipfile.ZipFile:
    """The zip file with its names decoded: macOS writes UTF-8 without saying so, Windows in Japan cp932."""
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return zipfile.ZipFile(path, metadata_encoding=encoding)
    return zipfile.ZipFile(path)
