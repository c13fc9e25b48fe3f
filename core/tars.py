"""Tar files: which files they hold, and the bytes of one, without a scan for each."""

from __future__ import annotations

import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from core.member import Member, check_size

# Several threads ask for neighbouring pages, a little out of order.
_KEPT_BYTES = 64 << 20


class _TarInfo(tarfile.TarInfo):
    """Tells damage from the end, where `TarFile` takes a damaged header for the end of the file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not buf.strip(b"\0"):
                raise  # zeros mark the end
            raise tarfile.ReadError(f"{error} before its end mark") from error


def open_tar(path: Path) -> Tar | CompressedTar:
    try:
        tar = tarfile.open(path, "r:", tarinfo=_TarInfo)  # noqa: SIM115, closed by __del__
    except tarfile.ReadError:
        return CompressedTar(path)
    return Tar(tar)


class Tar:
    """A tar file that is not compressed: every member is one seek away."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._lock = threading.Lock()
        self._tar = tar
        self._infos: dict[str, tarfile.TarInfo] = {}
        for info in self._tar:
            self._infos.setdefault(info.name, info)

    def __del__(self) -> None:
        if hasattr(self, "_tar"):
            self._tar.close()

    def members(self) -> Iterator[Member]:
        return (_tar_member(self._tar, info) for info in self._infos.values() if not info.isdir())

    def read(self, name: str) -> bytes:
        with self._lock:
            return _read_tar(self._tar, self._infos[name])


class CompressedTar:
    """A compressed tar file, which can only be read from its start to its end.

    It is read onward to the member asked for, and what passes by is kept for a while: whoever
    reads about in order, from several threads, decompresses the file once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._stream = self._restart()

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            self._stream.close()

    def _restart(self) -> tarfile.TarFile:
        return tarfile.open(self._path, "r|*", tarinfo=_TarInfo, bufsize=1 << 20)

    def members(self) -> Iterator[Member]:
        seen: set[str] = set()
        with self._restart() as stream:
            for info in stream:
                if not info.isdir() and info.name not in seen:
                    seen.add(info.name)
                    yield _tar_member(stream, info)

    def read(self, name: str) -> bytes:
        with self._lock:
            if name not in self._kept and not self._read_on_to(name):
                self._stream.close()
                self._stream = self._restart()
                if not self._read_on_to(name):
                    raise KeyError(name)
            return self._kept[name]

    def _read_on_to(self, name: str) -> bool:
        # Not `for info in`, which would begin again with the first member.
        while (info := self._stream.next()) is not None:
            if _is_plain(info) and (info.name == name or info.size <= _KEPT_BYTES):
                self._keep(info.name, _read_tar(self._stream, info))
            if info.name == name:
                return name in self._kept
        return False

    def _keep(self, name: str, data: bytes) -> None:
        self._kept[name] = data
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_BYTES:
            self._kept.popitem(last=False)


def _is_plain(info: tarfile.TarInfo) -> bool:
    return info.isreg() and not info.issparse()  # a sparse file can claim any size


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    return Member(info.name, info.size, partial(_open_tar_member, tar, info) if _is_plain(info) else None)


def _open_tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise KeyError(info.name)
    return file


def _read_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    if not _is_plain(info):
        raise KeyError(info.name)
    check_size(info.size)
    with _open_tar_member(tar, info) as file:
        return file.read()
