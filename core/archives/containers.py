"""This module opens folders, zip and tar files, here or behind a URL: it lists their files and reads one.

Members are only ever read as bytes, never extracted. Links and devices inside zip and
tar files could point anywhere, and count as files without content.
"""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, cast

from fumikura.core.archives.folders import Folder
from fumikura.core.archives.manifests import is_manifest, linked_pages
from fumikura.core.archives.member import (
    DAMAGES,
    Container,
    Member,
    Packed,
    file_stamp,
    is_lost_share,
)
from fumikura.core.archives.names import UniqueNames, legacy_encoding, natural, shown_name
from fumikura.core.archives.remote import RemoteFolder, remote_file
from fumikura.core.archives.tars import CompressedTar, Tar, open_tar
from fumikura.core.archives.urls import Place, Url
from fumikura.core.archives.zip_directory import check_directory
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits

_CHUNK_BYTES = 1 << 20
#: Of a zip file: a bit of each header, and how long headers are before a file and in the directory.
_UTF_8_MARK, _HEADER_BYTES, _ENTRY_BYTES = 1 << 11, 30, 46


#: What a zip or tar is called.
_PACKED_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"})


def is_packed(place: Place) -> bool:
    """Tell whether a place is called like a zip or tar file."""
    return place.suffix.lower() in _PACKED_SUFFIXES


def open_container(place: Place, limits: Limits) -> Container:
    """Open the archive at a place, and keep it open for the next call.

    Behind a URL only a zip, a tar or a manifest that is called so is one; all else is a folder.

    Raises:
        ArchiveError: it is no archive, damaged, or holds too much.
        StorageError: the server that holds it does not answer.
        OSError: it is gone or unreadable.
    """
    if is_manifest(place):
        return linked_pages(place, limits)
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


def is_tar(place: Place, limits: Limits) -> bool:
    """Tell whether an archive is a tar file: one has no order, and several files of one name."""
    return isinstance(open_container(place, limits), Tar | CompressedTar)


@dataclass(frozen=True, slots=True)
class _LocalFile:
    path: Path
    size_bytes: int
    mtime_ns: int

    def __str__(self) -> str:
        return str(self.path)

    @property
    def stamp(self) -> str | None:
        return file_stamp(self.size_bytes, self.mtime_ns)

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
        self._stamp = file.stamp
        infos = self._zip.infolist()
        self._infos = _named(infos)
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
        for name, info in sorted(self._infos.items(), key=lambda item: natural(item[0])):
            problem = self._problems.get(name)
            content = None if problem else partial(self._zip.open, info)
            stamp = None if self._stamp is None else f"{self._stamp}/{info.CRC:08x}:{info.file_size}"
            yield Member(name, info.file_size, content, problem, stamp=stamp)

    def read(self, name: str, digest: str | None = None) -> bytes:  # noqa: ARG002
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
    try:
        return zipfile.ZipFile(file)
    except UnicodeDecodeError:  # names are marked as UTF-8 that are something else
        return zipfile.ZipFile(cast("IO[bytes]", _Unmarked(file)))


class _Unmarked:
    """This is a zip file in whose headers no name is marked as UTF-8, so that none is decoded."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        data = bytearray(self._file.read(size))
        place = 0
        if len(data) == _HEADER_BYTES and data.startswith(b"PK\3\4"):
            data[7] &= ~(_UTF_8_MARK >> 8)
        while place + _ENTRY_BYTES <= len(data) and data.startswith(b"PK\1\2", place):
            data[place + 9] &= ~(_UTF_8_MARK >> 8)
            place += _ENTRY_BYTES + sum(struct.unpack_from("<3H", data, place + 28))
        return bytes(data)


def _named(infos: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Name the files of a zip, no folders; of several with one name, what unpacks last has it as it is."""
    raw = {id(info): _raw_name(info) for info in infos}
    encoding = legacy_encoding(name.encode("utf-8", "surrogateescape") for name in raw.values())
    unique = UniqueNames(encoding=encoding)
    named = []
    for info in reversed(infos):
        # Decoded before `\\` becomes `/`: Shift JIS has that byte in the middle of kanji.
        name = shown_name(raw[id(info)], encoding=encoding).replace("\\", "/")
        if not name.endswith("/"):
            named.append((unique.another(name), info))
    return dict(reversed(named))


def _raw_name(info: zipfile.ZipInfo) -> str:
    """Give a name as file systems do: UTF-8, with lone surrogates for what is none."""
    if not info.flag_bits & _UTF_8_MARK:
        with suppress(UnicodeEncodeError):  # the true name stood beside it, and was taken
            return info.filename.encode("cp437").decode("utf-8", "surrogateescape")
    return info.filename
