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

from core.errors import ArchiveError, PageError
from core.member import DAMAGES, Container, Limits, Member, shown_name
from core.tars import open_tar

_CHUNK_BYTES = 1 << 20


def open_container(path: Path, limits: Limits) -> Container:
    """The archive at a path, kept open for the next call.

    Raises:
        ArchiveError: it is no archive, damaged, or holds too much.
        OSError: it is gone or unreadable.
    """
    status = path.stat()
    try:
        return _open_unchanged(path, limits, status.st_mtime_ns, status.st_size)
    except PermissionError:
        raise
    except DAMAGES as error:
        raise ArchiveError(
            f"{path} is damaged or cut off ({error}); copy it again from its source"
        ) from error


@lru_cache(maxsize=8)
def _open_unchanged(path: Path, limits: Limits, _mtime_ns: int, _size_bytes: int) -> Container:
    if path.is_dir():
        return Folder(path, limits)
    if zipfile.is_zipfile(path):
        return Zip(path, limits)
    if not tarfile.is_tarfile(path):
        raise ArchiveError(f"{path} is no zip or tar file, or damaged; copy it again from its source")
    return open_tar(path, limits)


class Folder:
    """A directory and all below it, also through symbolic links, each directory once."""

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
        """A file by its real name."""
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
            raise PageError(f"{name} {member.problem}")
        with member.open() as file:
            return file.read(self._limits.max_file_bytes)

    def _real_name(self, name: str) -> str:
        """The name of a file that is shown under another, because it is no UTF-8."""
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
    """A zip file; `ZipFile` itself lets many threads read."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._zip = _open_zip(path)
        infos = self._zip.infolist()
        if len(infos) > limits.max_members:
            raise ArchiveError(f"{path} {limits.too_many()}")
        self._infos = {shown_name(info.filename.replace("\\", "/")): info for info in infos}
        self._problems: dict[str, str] = {}
        left = most = limits.most_bytes(path.stat().st_size)
        for name, info in self._infos.items():
            problem = _zip_problem(info, limits)
            # Members may overlap, so that each looks harmless.
            if problem is None and info.file_size > left:
                problem = f"is beyond the {most:,} bytes to which so small an archive may unpack; unpack it"
            if problem is None:
                left -= info.file_size
            else:
                self._problems[name] = problem

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


def _open_zip(path: Path) -> zipfile.ZipFile:
    """The zip file with its names decoded: macOS writes UTF-8 without saying so, Windows in Japan cp932."""
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return zipfile.ZipFile(path, metadata_encoding=encoding)
    return zipfile.ZipFile(path)
