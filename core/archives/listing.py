"""This module lists the pages of archives, each with the digest of its bytes and its book."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import IO

from fumikura.core.archives.books import book_of
from fumikura.core.archives.containers import is_packed, is_tar
from fumikura.core.archives.frames import with_frames
from fumikura.core.archives.kinds import (
    PACKED,
    ending,
    is_book_name,
    is_page_name,
    is_page_start,
    is_system_file,
    other_kind,
)
from fumikura.core.archives.known import Lookup, with_digests
from fumikura.core.archives.manifests import Wanted, is_manifest, split_wanted
from fumikura.core.archives.member import DAMAGES, Member
from fumikura.core.archives.names import natural, shown_name
from fumikura.core.archives.places import NO_PAGES, existing, explained, find_places, open_archive
from fumikura.core.archives.remote import RemoteFolder
from fumikura.core.archives.urls import Place, Url
from fumikura.core.errors import ArchiveError, StorageError
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.page import PageReference, stand_in_digest

#: Of a zip in a zip: nobody can name it.
_UNPACK = "unpack what they lie in, and name the zip or tar files in that folder"
_OLDER_VERSION = "older version of a page, of which the newer counts"
#: Pages of a remote folder that are fetched at once.
_N_FETCHED = 4
#: That a database takes; a header may claim more.
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LeftOut:
    """This is a file of an archive that is no page.

    Attributes:
        kind: what it is.
        remedy: what to do so that it is read; empty for what nobody wants to read.
    """

    archive: str
    member: str
    kind: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing holds the pages of some archives.

    Attributes:
        pages: archive by archive, in the order of their names, 2 before 10. A page that lies
            twice in the archives is here twice, with the same digest.
        left_out: all other files, in the order in which they were found.
    """

    pages: tuple[PageReference, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def n_ignored(self) -> int:
        """Count the files that are no pages."""
        return len(self.left_out)


def list_pages(
    archives: Sequence[str],
    *,
    book: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> Listing:
    """List all pages of some archives, as `stream_pages` finds them.

    Args:
        progress: called after each page with the number of pages so far.
    """
    pages: list[PageReference] = []
    left_out: list[LeftOut] = []
    for file in stream_pages(archives, book=book, limits=limits):
        if isinstance(file, LeftOut):
            left_out.append(file)
            continue
        pages.append(file)
        if progress is not None:
            progress(len(pages))
    return Listing(tuple(pages), tuple(left_out))


def stream_pages(
    archives: Sequence[str],
    *,
    book: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    known: Lookup | None = None,
) -> Iterator[PageReference | LeftOut]:
    """Yield the pages of some archives as they are found, each with the digest of its bytes.

    In between come the files that are no pages. A page whose bytes cannot be read is there too, and at
    the end each archive of which that is true or that holds no page: it will fail alone, with the
    reason. No more is kept in memory than the names of one folder, or what one zip or tar lists.

    Args:
        archives: paths or URLs of directories, images, zip and tar files, or globs of such.
        known: tells the digests of files that were hashed before; None hashes all.

    Raises:
        ArchiveError: an archive is missing, before the first page comes; or all are empty, damaged or
            no archives.
        StorageError: the server of an archive does not answer.
    """
    book = shown_name(book) if book is not None else None
    failed: list[tuple[Place, ArchiveError]] = []
    remedies: dict[str, None] = {}
    n_pages = 0
    for archive, places in [(archive, find_places(archive, limits)) for archive in archives]:
        n_before, n_failed = n_pages, len(failed)
        wanted = split_wanted(archive)[1]
        for place in _in_their_order(archive, places):
            try:
                for file in _files(place, book, limits, known, wanted):
                    if isinstance(file, PageReference):
                        n_pages += 1
                    elif file.remedy:
                        told = f"{file.kind}, so {file.remedy}"
                        remedies[told] = None
                    yield file
            except ArchiveError as error:
                failed.append((place, error))
        if n_pages == n_before and len(failed) == n_failed:
            # What could become pages is named.
            others = f" (it holds {', '.join(remedies)})" if remedies else ""
            failed.append((places[0], ArchiveError(f"{archive} {NO_PAGES}{others}")))
    if not n_pages and failed:
        raise failed[0][1]
    yield from (_stand_in_page(place, book) for place, _ in failed)


def _in_their_order(archive: str, places: Sequence[Place]) -> Sequence[Place]:
    """Put what a pattern matches in the order of names; what a collection names has one of its own."""
    is_collection = len(places) > 1 and all(map(is_manifest, places)) and not has_magic(archive)
    return places if is_collection else sorted(places, key=lambda place: natural(str(place)))


def _files(
    place: Place, book: str | None, limits: Limits, known: Lookup | None, wanted: Wanted
) -> Iterator[PageReference | LeftOut]:
    """Yield for each file of an archive its page, or that it is left out."""
    with explained(place):
        archive, members = open_archive(place, limits, group=wanted.group)
        if wanted.pages is not None:
            first, last = wanted.pages
            members = islice(members, first - 1, last)
        if not _is_utf_8(str(archive)):
            raise ArchiveError(f"{str(archive)!r} is not named in UTF-8; rename it")
        if known is not None:
            members = with_digests(str(archive), members, known)
        if isinstance(archive, Url) and not is_packed(archive) and not is_manifest(archive):
            yield from _fetched(archive, members, book, limits)
            return
        files = map(partial(_reference, archive, book=book), with_frames(members, limits))
        yield from _in_order(files) if _is_tar(archive, limits) else files


def _is_tar(archive: Place, limits: Limits) -> bool:
    real = archive if isinstance(archive, Url) else existing(archive)
    return not is_manifest(real) and is_tar(real, limits)


def _in_order(files: Iterator[PageReference | LeftOut]) -> Iterator[PageReference | LeftOut]:
    """Yield the newest version of each page in the order of their names, also before an error."""
    newest: dict[str, PageReference] = {}
    left_out: list[LeftOut] = []
    try:
        for file in files:
            if isinstance(file, LeftOut):
                left_out.append(file)
                continue
            older = newest.get(file.member)
            if older is not None and older.digest != file.digest:
                left_out.append(LeftOut(file.archive, file.member, _OLDER_VERSION))
            newest[file.member] = file
    finally:
        yield from sorted(newest.values(), key=lambda page: natural(page.member))
        yield from left_out


def _fetched(
    folder: Url, members: Iterator[Member], book: str | None, limits: Limits
) -> Iterator[PageReference | LeftOut]:
    """Yield what `_files` does for the files of a remote folder, and fetch several at the same time."""

    def references(member: Member) -> list[PageReference | LeftOut]:
        return [_reference(folder, one, book=book) for one in with_frames(iter([member]), limits)]

    # A thread does not wait for a server that is away: Ctrl-C would not reach it.
    hasty = RemoteFolder(folder, replace(limits, patience_s=0))
    threads = ThreadPoolExecutor(_N_FETCHED, "fetch")
    try:
        begun = [
            (member, threads.submit(references, hasty.member(member.name, size_bytes=member.size_bytes)))
            for member in members
        ]
        for member, fetching in begun:
            try:
                yield from fetching.result()
            except StorageError:
                yield from references(member)
    finally:
        threads.shutdown(cancel_futures=True)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reference(archive: Place, member: Member, *, book: str | None) -> PageReference | LeftOut:
    start, digest, size_bytes, stamp = b"", member.digest, member.size_bytes, member.stamp
    has_page_name = is_page_name(member.name)
    is_page = (
        (has_page_name or is_book_name(member.name))
        and member.left_out is None
        and not is_system_file(member.name)
    )
    if digest is None and (is_page or (ending(member.name) == "" and not is_system_file(member.name))):
        is_damaged = member.open is None and member.problem is not None
        if member.open is not None:
            try:
                start, digest, size_bytes = _digest(member.open, is_page=is_page)
            except (ArchiveError, *DAMAGES):
                is_damaged = True
        if is_damaged and is_page:
            # It may be readable the next time, though its stamp is the same.
            digest, stamp = stand_in_digest(str(archive), member.name), None
    if digest is None:
        return _left_out(archive, member, start)
    return PageReference(
        archive=str(archive),
        member=member.name,
        digest=digest,
        size_bytes=min(max(0, size_bytes), _LARGEST_INTEGER),
        book=book or book_of(archive, member.name),
        stamp=stamp,
        label=member.label,
        canvas=member.canvas,
    )


def _left_out(archive: Place, member: Member, start: bytes) -> LeftOut:
    """Say what a file is that is no page.

    Args:
        start: its first bytes, where they were looked at.
    """
    if member.left_out is not None:
        return LeftOut(str(archive), member.name, member.left_out)
    if is_system_file(member.name):
        return LeftOut(str(archive), member.name, "thumbnail, deleted or system file")
    suffix = ending(member.name)
    unknown = f"{suffix} file" if suffix else "file without ending"
    kind, remedy = other_kind(member.name, start) or (unknown, "")
    if kind == PACKED and is_packed(archive):
        remedy = _UNPACK
    return LeftOut(str(archive), member.name, kind, remedy)


def _digest(open_member: Callable[[], IO[bytes]], *, is_page: bool) -> tuple[bytes, str | None, int]:
    """Give first bytes, SHA-256 and size of a file; no SHA-256 if neither its name nor those are a page's."""
    with open_member() as file:
        chunk, size_bytes = file.read(1 << 20), 0
        start = chunk[:64]
        if not is_page and not is_page_start(start):
            return start, None, 0
        sha = hashlib.sha256()
        while chunk:
            sha.update(chunk)
            size_bytes += len(chunk)
            chunk = file.read(1 << 20)
    return start, sha.hexdigest(), size_bytes


def _stand_in_page(place: Place, book: str | None) -> PageReference:
    """Make a page that stands for all that cannot be read of an archive; its member's name is empty."""
    archive = place if isinstance(place, Url) else Path(shown_name(str(place)))
    return PageReference(str(archive), "", stand_in_digest(str(archive), ""), 0, book or book_of(archive, ""))
