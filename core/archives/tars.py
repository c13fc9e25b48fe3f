"""This module lists the files of a tar file and reads one of them, without a scan for each."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import tarfile
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import IO, Any, cast

from fumikura.core.archives.member import DAMAGES, Member, Packed
from fumikura.core.archives.names import UniqueNames, legacy_encoding
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits

# Several threads ask for neighbouring pages, a little out of order.
_KEPT_BYTES = 64 << 20
_PIECE_BYTES = 32 << 10
#: Of a name, or of a header that goes before a file; git writes 52 bytes of the latter.
_LONGEST_HEADER = 64 << 10
_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


class _TarInfo(tarfile.TarInfo):
    """This class tells damage from the end; `TarFile` takes a damaged header for the end of the file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not buf.strip(b"\0"):
                raise  # zeros mark the end
            raise tarfile.ReadError(f"{error} before its end mark") from error
        if info.type in _HEADERS and info.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {info.size:,} bytes")  # it would be read at once
        return info


def open_tar(file: Packed, limits: Limits) -> Tar | CompressedTar:
    with file.open() as opened:
        start = opened.read(8)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return CompressedTar(file, limits, opener)
    return Tar(file, limits)


class Tar:
    """This tar file is not compressed: every member is one seek away."""

    def __init__(self, file: Packed, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._stamp = file.stamp
        self._opened = file.open()
        self._tar = tarfile.open(fileobj=self._opened, mode="r:", tarinfo=_TarInfo)  # noqa: SIM115
        infos: list[tarfile.TarInfo] = []
        self._damage: Exception | None = None
        try:
            infos.extend(_infos(self._tar, file, limits))
        except (ArchiveError, *DAMAGES) as error:
            self._damage = error  # what stands before it can be read
        raw = (info.name.encode("utf-8", "surrogateescape") for info in infos)
        self._names = UniqueNames(encoding=legacy_encoding(raw))
        self._all = [(self._names.shown(info.name), info) for info in infos]
        self._newest = dict(self._all)
        self._n_of_name = Counter(name for name, _ in self._all)

    def __del__(self) -> None:
        if hasattr(self, "_opened"):
            self._opened.close()

    def members(self) -> Iterator[Member]:
        for member in _members(self._tar, self._all, self._names, self._limits):
            info = self._newest.get(member.name)
            if self._stamp is None or info is None or self._n_of_name[member.name] > 1:
                yield member
            else:
                yield replace(member, stamp=f"{self._stamp}/{info.offset_data}:{info.size}")
        if self._damage is not None:
            raise self._damage

    def read(self, name: str, digest: str | None = None) -> bytes:  # noqa: ARG002
        with self._lock:
            return _read_tar(self._tar, name, self._newest[name], self._limits)


class CompressedTar:
    """This tar file is compressed, and can only be read from its start to its end.

    It is read onward to the member asked for, and what passes by is kept for a while: whoever
    reads about in order, from several threads, decompresses the file once.
    """

    def __init__(self, file: Packed, limits: Limits, opener: Any) -> None:
        self._file = file
        self._limits = limits
        self._opener = opener
        self._lock = threading.Lock()
        #: By name: content, and how many of this name have passed by.
        self._kept: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
        self._passed: Counter[str] = Counter()
        self._names = UniqueNames()
        self._versions: Counter[str] | None = None
        self._stream: _Stream | None = self._begun()

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            self._drop_stream()

    def _begun(self) -> _Stream:
        return _Stream(self._file, self._opener, self._limits)

    def _drop_stream(self) -> None:
        self._passed.clear()
        self._names = UniqueNames()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def members(self) -> Iterator[Member]:
        stream, names, versions = self._begun(), UniqueNames(), Counter[str]()
        try:
            infos = ((names.shown(info.name), info) for info in _infos(stream.tar, self._file, self._limits))
            for member in _members(stream.tar, infos, names, self._limits):
                versions[member.name] += 1
                yield member
            self._versions = versions
        except (ArchiveError, *DAMAGES):
            self._versions = versions  # nothing behind the damage can be read
            raise
        finally:
            stream.close()

    def read(self, name: str, digest: str | None = None) -> bytes:
        with self._lock:
            if digest is None and self._versions is None:
                with suppress(ArchiveError, *DAMAGES):
                    deque(self.members(), maxlen=0)
            for _ in range(2):  # from here on, and once more from the start
                while name in self._kept or self._read_on_to(name):
                    if self._is_right(name, digest):
                        return self._kept[name][0]
                    if not self._read_on_to(name):
                        break
                self._drop_stream()
            return self._kept[name][0]  # of another digest, which whoever asked for it will see

    def _is_right(self, name: str, digest: str | None) -> bool:
        data, number = self._kept[name]
        if digest is not None:
            return hashlib.sha256(data).hexdigest() == digest
        return self._versions is None or number >= self._versions[name]

    def _read_on_to(self, name: str) -> bool:
        if self._stream is None:
            self._stream = self._begun()
        try:
            # Not `for info in`, which would begin again with the first member.
            while (info := self._stream.tar.next()) is not None:
                found = self._names.shown(info.name)
                self._passed[found] += not info.isdir()
                if found == name or (info.size <= _KEPT_BYTES and _problem(info, self._limits) is None):
                    self._keep(found, _read_tar(self._stream.tar, found, info, self._limits))
                if found == name:
                    return True
        except PageError:
            raise  # nothing of that member was read
        except BaseException:
            self._drop_stream()  # it stands in the middle of a member, or behind what is damaged
            raise
        return False

    def _keep(self, name: str, data: bytes) -> None:
        self._kept[name] = (data, self._passed[name])
        while len(self._kept) > 1 and sum(len(kept) for kept, _ in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)


class _Stream:
    """This stream decompresses a tar file little by little, and only as far as it may unpack.

    `TarFile` can decompress by itself, but then a piece of the packed file at once, whatever becomes of it.
    """

    def __init__(self, file: Packed, opener: Any, limits: Limits) -> None:
        self._file = file
        self._most_bytes = self._left = limits.most_bytes(file.size_bytes)
        self._packed = file.open()
        self._unpacked = opener(self._packed, "rb")
        try:
            self.tar = tarfile.open(  # noqa: SIM115, closed by close()
                fileobj=cast("IO[bytes]", self), mode="r|", tarinfo=_TarInfo, bufsize=_PIECE_BYTES
            )
        except BaseException:
            self._close_files()
            raise

    def read(self, size: int) -> bytes:
        # One piece, and not as many as were asked for: of a file that is cut off, `read` gives nothing.
        data: bytes = self._unpacked.read1(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError(
                f"{self._file} unpacks to more than {self._most_bytes:,} bytes, as only a bomb does;"
                " unpack it yourself, or raise FUMIKURA_MAX_RATIO"
            )
        return data

    def close(self) -> None:
        self.tar.close()
        self._close_files()

    def _close_files(self) -> None:
        self._unpacked.close()
        self._packed.close()


def _infos(tar: tarfile.TarFile, file: Packed, limits: Limits) -> Iterator[tarfile.TarInfo]:
    for number, info in enumerate(tar):
        if number >= limits.max_members:
            raise ArchiveError(f"{file} {limits.too_many()}")
        info.pax_headers = {}  # a copy of a header for the whole archive, in each of its files
        yield info


def _members(
    tar: tarfile.TarFile, infos: Iterable[tuple[str, tarfile.TarInfo]], names: UniqueNames, limits: Limits
) -> Iterator[Member]:
    """Yield the files, all versions of each, and no folders."""
    is_plain: dict[str, bool] = {}
    for name, info in infos:
        if info.isdir():
            continue
        is_plain[name] = _is_plain(info)
        problem = _problem(info, limits)
        if info.islnk() and is_plain.get(names.shown(info.linkname)):
            yield Member(name, 0, None, left_out="another name of a file that is listed")
        elif problem is not None:
            yield Member(name, info.size, None, problem)
        else:
            yield Member(name, info.size, partial(_open_tar_member, tar, info))


def _is_plain(info: tarfile.TarInfo) -> bool:
    return info.isreg() and not info.issparse()


def _problem(info: tarfile.TarInfo, limits: Limits) -> str | None:
    if not _is_plain(info):
        # Either could lead anywhere; a sparse file can claim any size.
        return "is a link, a device or a sparse file, which are not followed; put the image itself there"
    return limits.problem(info.size)


def _open_tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise KeyError(info.name)
    return file


def _read_tar(tar: tarfile.TarFile, name: str, info: tarfile.TarInfo, limits: Limits) -> bytes:
    if problem := _problem(info, limits):
        raise PageError(f"{name} {problem}")
    with _open_tar_member(tar, info) as file:
        data = file.read()
    if len(data) < info.size:
        raise EOFError(f"{name} is cut off")
    return data
