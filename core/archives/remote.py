"""This module lists and reads folders, images, zip and tar files behind a URL, as others do on a disk.

Nothing is copied to this machine's disk. An image is fetched whole, of a zip or tar only the pieces
that are asked for. A server that does not answer is asked again for a while.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from glob import has_magic
from html.parser import HTMLParser
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import unquote, urljoin

from fumikura.core.archives.addresses import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from fumikura.core.archives.deadline import seconds_left
from fumikura.core.archives.member import Member
from fumikura.core.archives.names import forms, natural, one_form
from fumikura.core.archives.retrying import retry_until_answered
from fumikura.core.archives.urls import Url, WebAddress, file_system, masked, parse_url
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

_BLOCK_BYTES = 4 << 20
_BLOCKS_KEPT = 8
_PIECE_BYTES = 1 << 20


class RemoteFolder:
    """A remote folder holds all below a URL; on a web server, the files that its index page names."""

    def __init__(self, url: Url, limits: Limits) -> None:
        self._url = url
        self._limits = limits

    def members(self) -> Iterator[Member]:
        found = retry_until_answered(self._list, self._url, self._limits)
        for name, size_bytes in sorted(found.items(), key=lambda item: natural(item[0])):
            yield self.member(name, size_bytes=size_bytes)

    def member(self, name: str, *, size_bytes: int = 0) -> Member:
        """Give a file by its name; its size is 0 where nobody has said it yet."""
        if problem := self._limits.problem(size_bytes):
            return Member(one_form(name), size_bytes, None, problem)
        return Member(one_form(name), size_bytes, partial(self._fetch, name))

    def read(self, name: str, digest: str | None = None) -> bytes:  # noqa: ARG002
        return self._fetch(name).getvalue()

    def _list(self) -> dict[str, int]:
        if self._url.is_http:
            # An index page names no sizes.
            return dict.fromkeys(_links(_fetch(self._url, "", self._limits).getvalue(), f"{self._url}/"), 0)
        files = file_system(self._url, self._limits)
        root = files._strip_protocol(str(self._url)).rstrip("/") + "/"
        found = {
            path.removeprefix(root): int(info.get("size") or 0)
            for path, info in files.find(root, detail=True, **_in_time(files)).items()
            if path.startswith(root)
        }
        return {name: size_bytes for name, size_bytes in found.items() if name and not name.endswith("/")}

    def _fetch(self, name: str) -> io.BytesIO:
        *others, last = forms(name)
        for form in others:
            with suppress(FileNotFoundError):
                return self._fetch_as(form)
        return self._fetch_as(last)

    def _fetch_as(self, name: str) -> io.BytesIO:
        return retry_until_answered(
            lambda: _fetch(self._url, name, self._limits), self._url / name, self._limits
        )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """This is a zip or tar file behind a URL.

    Attributes:
        version: what its server says of it; another text for other bytes.
    """

    url: Url
    limits: Limits
    size_bytes: int
    version: str

    def __str__(self) -> str:
        return str(self.url)

    @property
    def stamp(self) -> str:
        return self.version

    def open(self) -> IO[bytes]:
        return io.BufferedReader(_Blocks(self.size_bytes, self._fetch))

    def _fetch(self, start: int, end: int) -> bytes:
        return retry_until_answered(lambda: _fetch_part(self, start, end), self.url, self.limits)


def remote_file(url: Url, limits: Limits) -> RemoteFile:
    """Find a zip or tar file, of which nothing is fetched yet.

    Raises:
        FileNotFoundError: there is none.
        ArchiveError: it cannot be had.
        StorageError: its server does not answer.
    """
    info = retry_until_answered(lambda: _info(url, limits), url, limits)
    if info.get("size") is None:
        raise ArchiveError(f"{url} comes without a size, which a zip or tar needs; copy it to this machine")
    names = ("size", "ETag", "LastModified", "Last-Modified", "mtime", "created")
    return RemoteFile(url, limits, int(info["size"]), str([info.get(name) for name in names]))


def remote_image(url: Url, limits: Limits) -> Member:
    """Find an image, as a member of the folder that it lies in; raises what `remote_file` does."""
    info = retry_until_answered(lambda: _info(url, limits), url, limits)
    name = _shown(url.name) if url.is_http else url.name
    return RemoteFolder(url.parent, limits).member(name, size_bytes=int(info.get("size") or 0))


def _info(url: Url, limits: Limits) -> Any:
    files = file_system(url, limits)
    return files.info(str(url), **_in_time(files))


def matches(url: Url, limits: Limits) -> list[Url]:
    """List all that a URL with wildcards stands for, in a store that can tell; else the URL itself."""
    if url.is_http or not has_magic(str(url)):
        return [url]

    def search() -> list[str]:
        files = file_system(url, limits)
        return [files.unstrip_protocol(path) for path in files.glob(str(url), **_in_time(files))]

    return [parse_url(found) for found in retry_until_answered(search, url, limits)]


def _shown(name: str) -> str:
    """Write a name from a web address as people do, where that still leads to the same place."""
    decoded = unquote(name)
    return name if set(decoded) & set("%?#/\N{REPLACEMENT CHARACTER}") else decoded


def _fetch(url: Url, name: str, limits: Limits) -> io.BytesIO:
    """Fetch a whole image, or, with an empty name, the index page of a web server."""
    return io.BytesIO(fetch_whole(url, f"{url}/{name}", limits))


def fetch_whole(url: Url | WebAddress, path: str, limits: Limits) -> bytes:
    """Fetch once what is at a path, of which `url` tells protocol and host."""
    files, data = file_system(url, limits), io.BytesIO()
    if files.async_impl and not url.is_http:
        # Not piece by piece, as below: such a file system waits for its own pieces however long they take.
        _check_size(path, files.info(path, **_in_time(files)).get("size") or 0, limits)
        return bytes(files.cat_file(path, **_in_time(files)))
    options = _web_options() if url.is_http else {"block_size": _BLOCK_BYTES}
    with files.open(path, "rb", **options) as file:
        while piece := file.read(_PIECE_BYTES):
            data.write(piece)
            _check_size(path, data.tell(), limits)
            seconds_left()
    return data.getvalue()


def _check_size(path: str, size_bytes: int, limits: Limits) -> None:
    if size_bytes > limits.max_file_bytes:
        raise ArchiveError(
            f"{masked(path)} has more than {limits.max_file_bytes:,} bytes;"
            " make it smaller, or raise FUMIKURA_MAX_FILE_BYTES"
        )


def _in_time(files: Any) -> dict[str, float]:
    """Make the option that ends a call in time; file systems that are not asynchronous know none."""
    left_s = seconds_left()
    return {"timeout": left_s} if files.async_impl and math.isfinite(left_s) else {}


def _web_options() -> dict[str, Any]:
    """Make the options of a file that comes from the web in one answer, in time or not at all."""
    from aiohttp import ClientTimeout  # not above: whose archives lie on a disk need not wait for it

    times = {"sock_connect": CONNECT_TIMEOUT_S, "sock_read": READ_TIMEOUT_S}
    total_s = min(seconds_left(), ANSWER_TIMEOUT_S)
    # With a size given, nobody asks for it first.
    return {"block_size": 0, "size": 1, "timeout": ClientTimeout(total=total_s, **times)}


def _fetch_part(file: RemoteFile, start: int, end: int) -> bytes:
    files = file_system(file.url, file.limits)
    if file.url.is_http:
        data = _fetch_range(files, file.url, start, end)
    else:
        data = files.cat_file(str(file.url), start=start, end=end, **_in_time(files))
    if len(data) < end - start:
        raise EOFError
    return bytes(data)


def _fetch_range(files: Any, url: Url, start: int, end: int) -> bytes:
    # Not by fsspec's `cat_file`, which takes as much as the server sends.
    headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    data = bytearray()
    with files.open(str(url), "rb", headers=headers, **_web_options()) as answer:
        if answer.r.status != HTTPStatus.PARTIAL_CONTENT:
            raise ArchiveError(
                f"{url} comes whole or not at all, where a zip or tar is read in pieces;"
                " unpack it there, or copy it to a place that all workers can read"
            )
        while len(data) < end - start and (piece := answer.read(end - start - len(data))):
            data += piece
            seconds_left()
    return bytes(data)


class _Blocks(io.RawIOBase):
    """This file is fetched in blocks, of which the last used are kept: threads take turns in reading it."""

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size_bytes = size_bytes
        self._position = 0
        self._block = lru_cache(_BLOCKS_KEPT)(
            lambda number: fetch(number * _BLOCK_BYTES, min((number + 1) * _BLOCK_BYTES, size_bytes))
        )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if origin + offset < 0:
            raise ValueError(f"no place {origin + offset} in a file")
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        if self._position >= self._size_bytes:
            return 0
        number, skipped = divmod(self._position, _BLOCK_BYTES)
        data = self._block(number)[skipped : skipped + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _links(page: bytes, base: str) -> list[str]:
    """List the files right below a URL that its index page names."""
    parser = _Links()
    parser.feed(page.decode(errors="replace"))
    targets = []
    for target in parser.targets:
        with suppress(ValueError):  # a link that is no URL leads to none of them
            targets.append(urljoin(base, target))
    names = [target.removeprefix(base) for target in targets if target.startswith(base)]
    return [_shown(name) for name in names if name and not set(name) & set("/?#")]
