"""This module lists the pages of archives, each with the digest of its bytes and its book."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from fumikura.core.archives.containers import is_packed
from fumikura.core.archives.kinds import is_page_name
from fumikura.core.archives.member import DAMAGES, Member, shown_name
from fumikura.core.archives.places import NO_PAGES, explained, find_places, open_archive
from fumikura.core.archives.remote import RemoteFolder
from fumikura.core.archives.urls import Place, Url
from fumikura.core.errors import ArchiveError, StorageError
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.page import PageReference, stand_in_digest

_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
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
    """A listing holds the pages of some archives.

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
    """List all pages of some archives, each with the digest of its bytes.

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
    failed: list[tuple[Place, ArchiveError]] = []
    n_ignored = 0
    for archive in archives:
        places, found = find_places(archive, limits), list[PageReference]()
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
            failed.append((places[0], ArchiveError(f"{archive} {NO_PAGES}")))
        pages += sorted(found, key=lambda page: (_natural(page.archive), _natural(page.member)))
    if not pages and failed:
        raise failed[0][1]
    return Listing((*pages, *(_stand_in_page(place, book) for place, _ in failed)), n_ignored)


def _references(place: Place, book: str | None, limits: Limits) -> Iterator[PageReference | None]:
    """Yield for each file of an archive its page, or None if the file is ignored."""
    with explained(place):
        archive, members = open_archive(place, limits)
        if shown_name(str(archive)) != str(archive):
            raise ArchiveError(f"{str(archive)!r} is not named in UTF-8; rename it")
        if isinstance(archive, Url) and not is_packed(archive):
            yield from _fetched(archive, members, book, limits)
        else:
            yield from map(partial(_reference, archive, book=book), members)


def _fetched(
    folder: Url, members: Iterator[Member], book: str | None, limits: Limits
) -> Iterator[PageReference | None]:
    """Yield what `_references` does for the files of a remote folder, and fetch several at the same time."""
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


def _reference(archive: Place, member: Member, *, book: str | None) -> PageReference | None:
    path = PurePosixPath(member.name)
    is_hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in path.parts)
    has_page_name = is_page_name(path.name)
    if is_hidden or not (has_page_name or path.suffix == ""):
        return None
    size_bytes = member.size_bytes
    if member.open is not None:
        try:
            digest, size_bytes = _digest(member.open, is_page=has_page_name)
        except (ArchiveError, *DAMAGES):
            digest = stand_in_digest(str(archive), member.name) if has_page_name else None
    else:
        digest = stand_in_digest(str(archive), member.name) if has_page_name and member.problem else None
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
    """Give SHA-256 and size of a file; None and 0 if neither its name nor its first bytes are a page's."""
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


def _stand_in_page(place: Place, book: str | None) -> PageReference:
    """Make a page that stands for all that cannot be read of an archive; its member's name is empty."""
    archive = place if isinstance(place, Url) else Path(shown_name(str(place)))
    return PageReference(
        str(archive), "", stand_in_digest(str(archive), ""), 0, book or _book(archive, PurePosixPath())
    )


def _book(archive: Place, member: PurePosixPath) -> str:
    """Name the work: as CODH names its pages, else the innermost folder that is not just called `images`."""
    if match := _CODH_NAME.fullmatch(member.stem):
        return match[1]
    if is_packed(archive):
        folders: tuple[str, ...] = (archive.name.split(".")[0], *member.parent.parts)
    else:
        folders = (*archive.parts, *member.parent.parts)
    return next((name for name in reversed(folders) if name.lower() not in _KINDS_OF_FILE), folders[0])


def _natural(name: str) -> list[str | tuple[int, str]]:
    """Give a key that sorts 2 before 10."""
    # By their length first, since Python makes no number of thousands of digits.
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else part
        for part in re.split(r"(\d+)", name)
    ]
