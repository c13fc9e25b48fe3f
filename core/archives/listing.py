"""Archives -> page references, and from a reference back to the page's bytes.

An archive is a directory, an image, a glob, a zip or a tar file, here or behind a URL. Needs
neither Pillow nor numpy: a page is told by its name, and what turns out to be no image fails when
it is read.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.request import url2pathname

from fumikura.core.archives.containers import Folder, is_packed, open_container
from fumikura.core.archives.member import DAMAGES, Member, shown_name
from fumikura.core.archives.remote import RemoteFolder, matches, remote_image
from fumikura.core.archives.urls import Url, is_url, parse_url
from fumikura.core.errors import ArchiveError, PageError, StorageError
from fumikura.core.limits import Limits
from fumikura.core.page import PageReference

_PAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")

_NO_PAGES = "holds no JPEG, PNG or TIFF images; name what does, such as 'a/*.zip'"

DEFAULT_LIMITS = Limits()
#: Pages of a remote folder that are fetched at once.
_N_FETCHED = 4
#: That a database takes; a header may claim more.
_LARGEST_INTEGER = 2**63 - 1

_CODH_NAME = re.compile(r"([^_]+)_\d{5}_\d+")
# Folders that say what lies in them, and not which book it is.
_KINDS_OF_FILE = frozenset(
    {"image", "images", "img", "jpeg", "jpg", "page", "pages", "png", "scan", "scans", "tif", "tiff"}
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The pages of some archives.

    Attributes:
        pages: archive by archive, in the order of their names, 2 before 10. A page that lies
            twice in the archives is here twice, with the same digest.
        n_ignored: files that are no page images.
    """

    pages: tuple[PageReference, ...]
    n_ignored: int


def list_pages(
    archives: Sequence[str],
    *,
    book: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> Listing:
    """All pages of some archives, each with the digest of its bytes.

    A page whose bytes cannot be read is listed too, and so is an archive of which that is true or
    that holds no page: it will fail alone, with the reason.

    Args:
        archives: paths or URLs of directories, images, zip and tar files, or globs of such.
        progress: called after each page with the number of pages so far.

    Raises:
        ArchiveError: an archive is missing; or all are empty, damaged or no archives.
        StorageError: the server of an archive does not answer.
    """
    book = shown_name(book) if book is not None else None
    pages: list[PageReference] = []
    failed: list[tuple[Path | Url, ArchiveError]] = []
    n_ignored = 0
    for archive in archives:
        places, found = _places(archive, limits), list[PageReference]()
        n_failed = len(failed)
        for place in places:
            try:
                for reference in _references(place, book, limits):
                    if reference is None:
                        n_ignored += 1
                        continue
                    found.append(reference)
                    if progress is not None:
                        progress(len(pages) + len(found))
            except ArchiveError as error:
                failed.append((place, error))
        if not found and len(failed) == n_failed:
            failed.append((places[0], ArchiveError(f"{archive} {_NO_PAGES}")))
        pages += sorted(found, key=lambda page: (_natural(page.archive), _natural(page.member)))
    if not pages and failed:
        raise failed[0][1]
    return Listing((*pages, *(_stand_in_page(place, book) for place, _ in failed)), n_ignored)


def read_member(archive: str, member: str, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a page. Archives are kept open, so that reading many pages opens each once.

    Raises:
        PageError: the archive or the page in it is gone, damaged or claims too much, or its server does
            not answer.
    """
    try:
        place = _place(archive)
        if not member:
            raise PageError(_archive_problem(place, limits))
        return open_container(place, limits).read(member)
    except (KeyError, FileNotFoundError) as error:
        if not isinstance(place, Url) and not place.exists():
            here = socket.gethostname()
            raise PageError(
                f"{archive} is not there on {here}; put it there, or mount it, and retry"
            ) from error
        raise PageError(f"{member} is no longer in {archive}; put it back and retry") from error
    except (ArchiveError, StorageError) as error:
        raise PageError(str(error)) from error
    except DAMAGES as error:
        raise PageError(f"{member} in {archive} cannot be read ({error}); correct that and retry") from error


def archive_name(archive: str) -> str:
    """The name by which the store knows an archive: absolute, links not followed; of a URL its plain form."""
    return str(_place(archive))


def _archive_problem(place: Path | Url, limits: Limits) -> str:
    """Why an archive could not be listed, or not to its end."""
    try:
        with _explained(place):
            for _ in _members(place, limits)[1]:
                pass
    except ArchiveError as error:
        return str(error)
    return f"{place} {_NO_PAGES}; or it was mended by now: then name it again"


def _places(archive: str, limits: Limits) -> list[Path | Url]:
    """What a name on the command line stands for."""
    place = _place(archive)
    if isinstance(place, Url):
        found: list[Path | Url] = list(matches(place, limits))
    else:
        path = str(place) if is_url(archive) else archive
        # `Path.glob` takes no absolute patterns.
        paths = [path] if os.path.lexists(path) else glob.glob(path, recursive=True)  # noqa: PTH207
        found = [_place(path) for path in paths]
    if not found:
        raise ArchiveError(f"there is nothing at {archive}; correct the path")
    return found


def _place(archive: str) -> Path | Url:
    """The absolute path or the URL of an archive."""
    if is_url(archive):
        scheme, _, path = archive.partition("://")
        if scheme.lower() not in ("file", "local"):
            return parse_url(archive)
        archive = url2pathname(path)
    # Not resolved: on a cluster all hosts share the name of a link, not what it points to.
    return Path(os.path.normpath(Path(archive).absolute()))


def _references(place: Path | Url, book: str | None, limits: Limits) -> Iterator[PageReference | None]:
    """For each file of an archive its page, or None if it is ignored."""
    with _explained(place):
        archive, members = _members(place, limits)
        if shown_name(str(archive)) != str(archive):
            raise ArchiveError(f"{str(archive)!r} is not named in UTF-8; rename it")
        if isinstance(archive, Url) and not is_packed(archive):
            yield from _fetched(archive, members, book, limits)
        else:
            yield from map(partial(_reference, archive, book=book), members)


def _fetched(
    folder: Url, members: Iterator[Member], book: str | None, limits: Limits
) -> Iterator[PageReference | None]:
    """The same for files of a remote folder, of which some are fetched at the same time."""
    reference = partial(_reference, folder, book=book)
    # A thread does not wait for a server that is away: Ctrl-C would not reach it.
    hasty = RemoteFolder(folder, replace(limits, patience_s=0))
    threads = ThreadPoolExecutor(_N_FETCHED, "fetch")
    try:
        begun = [
            (member, threads.submit(reference, hasty.member(member.name, size_bytes=member.size_bytes)))
            for member in members
        ]
        for member, fetching in begun:
            try:
                yield fetching.result()
            except StorageError:
                yield reference(member)
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def _explained(path: Path | Url) -> Iterator[None]:
    """Whatever may be wrong with an archive, as an ArchiveError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} points to nothing or is gone; correct the path") from error
    except PermissionError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}); correct its permissions") from error
    except DAMAGES as error:
        raise ArchiveError(
            f"{path} is damaged or cut off ({error}); copy it again from its source"
        ) from error


def _members(place: Path | Url, limits: Limits) -> tuple[Path | Url, Iterator[Member]]:
    """The archive that a place stands for and its files; an image's archive is its folder."""
    if isinstance(place, Url):
        if place.suffix.lower() in _PAGE_SUFFIXES:
            return place.parent, iter([remote_image(place, limits)])
    elif place.is_file() and not _may_be_container(place):
        return place.parent, iter([Folder(place.parent, limits).member(place.name)])
    return place, open_container(place, limits).members()


def _may_be_container(path: Path) -> bool:
    """Whether a file is a zip or tar file, or is called one."""
    if path.suffix.lower() in _PAGE_SUFFIXES:
        return False
    return is_packed(path) or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _reference(archive: Path | Url, member: Member, *, book: str | None) -> PageReference | None:
    path = PurePosixPath(member.name)
    is_hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in path.parts)
    has_page_name = path.suffix.lower() in _PAGE_SUFFIXES
    if is_hidden or not (has_page_name or path.suffix == ""):
        return None
    size_bytes = member.size_bytes
    if member.open is not None:
        try:
            digest, size_bytes = _digest(member.open, is_page=has_page_name)
        except (ArchiveError, *DAMAGES):
            digest = _stand_in(archive, member.name) if has_page_name else None
    else:
        digest = _stand_in(archive, member.name) if has_page_name and member.problem else None
    if digest is None:
        return None
    return PageReference(
        archive=str(archive),
        member=member.name,
        digest=digest,
        size_bytes=min(max(0, size_bytes), _LARGEST_INTEGER),
        book=book or _book(archive, path),
    )


def _digest(open_member: Callable[[], IO[bytes]], *, is_page: bool) -> tuple[str | None, int]:
    """SHA-256 and size of the content; None if only its first bytes can tell a page, and they do not."""
    with open_member() as file:
        chunk, size_bytes = file.read(1 << 20), 0
        if not is_page and not chunk.startswith(_FIRST_BYTES):
            return None, 0
        sha = hashlib.sha256()
        while chunk:
            sha.update(chunk)
            size_bytes += len(chunk)
            chunk = file.read(1 << 20)
    return sha.hexdigest(), size_bytes


def _stand_in(archive: Path | Url, member: str) -> str:
    """What a page is known by whose bytes cannot be read: it is listed, and fails when its turn comes."""
    return hashlib.sha256(f"{archive}\0{member}".encode()).hexdigest()


def _stand_in_page(place: Path | Url, book: str | None) -> PageReference:
    """A page that stands for all that cannot be read of an archive; its member's name is empty."""
    archive = place if isinstance(place, Url) else Path(shown_name(str(place)))
    return PageReference(str(archive), "", _stand_in(archive, ""), 0, book or _book(archive, PurePosixPath()))


def _book(archive: Path | Url, member: PurePosixPath) -> str:
    """The work: as CODH names its pages, else the innermost folder that is not just called `images`."""
    if match := _CODH_NAME.fullmatch(member.stem):
        return match[1]
    if is_packed(archive):
        folders: tuple[str, ...] = (archive.name.split(".")[0], *member.parent.parts)
    else:
        folders = (*archive.parts, *member.parent.parts)
    return next((name for name in reversed(folders) if name.lower() not in _KINDS_OF_FILE), folders[0])


def _natural(name: str) -> list[str | tuple[int, str]]:
    # By their length first, since Python makes no number of thousands of digits.
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else part
        for part in re.split(r"(\d+)", name)
    ]
