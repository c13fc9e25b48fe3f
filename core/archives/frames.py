"""This module finds the pages inside PDF files, and inside TIFF files of several pages, wherever they lie.

Such a page is known by its file's digest, its number and how it is drawn: listing looks at no pixel.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePosixPath

from fumikura.core.archives import pdfs, tiff_frames, tiffs
from fumikura.core.archives.folders import Folder
from fumikura.core.archives.kinds import ending, is_book_name, is_system_file
from fumikura.core.archives.member import DAMAGES, Container, Member
from fumikura.core.archives.urls import Place
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits

_TIFFS = frozenset({".tif", ".tiff"})
_LONGEST_STEM = 60


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame is a page inside a file.

    Attributes:
        file: path of the file in its archive.
        number: from 1.
    """

    file: str
    number: int

    @property
    def name(self) -> str:
        """Name the page, as if its file were a folder: `book.pdf/book_0001`."""
        return f"{self.file}/{PurePosixPath(self.file).stem[:_LONGEST_STEM]}_{self.number:04}"

    def digest(self, file_digest: str) -> str:
        """Give what the page is known by."""
        drawn = f"pdf {pdfs.RENDER_DPI}" if is_book_name(self.file) else "tiff"
        return hashlib.sha256(f"{file_digest}\0{drawn}\0{self.number}".encode()).hexdigest()


def frame_at(name: str) -> Frame | None:
    """Tell which page of which file a member's name stands for; None if it is a file's own."""
    file, _, last = name.rpartition("/")
    number = last.rpartition("_")[2]
    if not (holds_frames(file) and number.isascii() and number.isdecimal()):
        return None
    frame = Frame(file, int(number))
    return frame if frame.name == name else None


def with_frames(members: Iterator[Member], limits: Limits) -> Iterator[Member]:
    """Yield members in their order; instead of a file that holds pages, these, each with its digest.

    A PDF that cannot be read is yielded with the problem.
    """
    for member in members:
        is_file = member.open is not None and member.left_out is None and not is_system_file(member.name)
        if is_file and member.digest is None and holds_frames(member.name):
            yield from _frames(member, limits)
        else:
            yield member


def holds_frames(name: str) -> bool:
    """Tell whether a file is called as a PDF or TIFF is."""
    return is_book_name(name) or ending(name) in _TIFFS


def _frames(member: Member, limits: Limits) -> Iterator[Member]:
    assert member.open is not None
    is_book = is_book_name(member.name)
    try:
        with member.open() as opened:
            is_here = isinstance(getattr(opened, "raw", None), io.FileIO)
            file = Path(opened.name) if is_here else opened.read()
            n_pages = _n_pages(file, limits, is_book=is_book)
            if not is_book and n_pages < 2:
                yield member if isinstance(file, Path) else replace(member, digest=_digest(file))
                return
            digest = _digest(file)
    except PageError as error:
        yield Member(member.name, member.size_bytes, None, str(error))
        return
    except (ArchiveError, *DAMAGES):
        yield member  # whoever hashes it meets the same, and says so
        return
    for number in range(1, n_pages + 1):
        frame = Frame(member.name, number)
        yield Member(frame.name, member.size_bytes // n_pages, None, digest=frame.digest(digest))


def _n_pages(file: Path | bytes, limits: Limits, *, is_book: bool) -> int:
    if is_book:
        return pdfs.n_pages(file, limits)
    with _mapped(file) as data:
        return tiff_frames.n_tiff_pages(data) if tiffs.is_tiff(data[:8]) else 1


def read_frame(place: Place, container: Container, frame: Frame, digest: str | None, limits: Limits) -> bytes:
    """Give a page inside a file as a file of its own.

    Args:
        digest: what the page is known by.

    Raises:
        KeyError: there is no such file in the archive.
        PageError: it is another file by now, or the page cannot be read.
    """
    source = _source(place, container, frame, digest)
    if digest is not None and frame.digest(source.digest) != digest:
        raise PageError(
            f"{frame.file} in {place} is no longer the file that was added; add it again",
            is_only_here=isinstance(place, Path),
        )
    if is_book_name(frame.file):
        return pdfs.page_image(source.file, frame.number, limits)
    with _mapped(source.file) as data:
        return tiff_frames.tiff_page(data, frame.number, limits)


def check_book(container: Container, name: str, limits: Limits) -> None:
    """Raise what is wrong with a PDF whose pages could not be listed."""
    pdfs.n_pages(container.path(name) if isinstance(container, Folder) else container.read(name), limits)


@dataclass(frozen=True, slots=True)
class _Source:
    file: Path | bytes
    digest: str


#: The last file that came out of a zip or tar or from a server: its other pages are asked for next.
_LAST: dict[tuple[str, str], _Source] = {}
_FETCHING = threading.Lock()


def _source(place: Place, container: Container, frame: Frame, digest: str | None) -> _Source:
    if isinstance(container, Folder):
        path = container.path(frame.file)
        status = path.stat()
        return _Source(path, _local_digest(path, status.st_size, status.st_mtime_ns))
    key = str(place), frame.file
    with _FETCHING:
        source = _LAST.get(key)
        if source is None or digest != frame.digest(source.digest):
            _LAST.clear()  # before the next one is fetched: either may be large
            data = container.read(frame.file)
            source = _LAST[key] = _Source(data, _digest(data))
        return source


@lru_cache(maxsize=64)
def _local_digest(path: Path, size_bytes: int, changed_ns: int) -> str:  # noqa: ARG001, what tells files apart
    return _digest(path)


def _digest(file: Path | bytes) -> str:
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def _mapped(file: Path | bytes) -> Iterator[bytes | mmap]:
    if isinstance(file, bytes):
        yield file
        return
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        yield data
