"""Archives -> page references, and from a reference back to the page's bytes.

An archive is a directory, an image, a glob, a zip or a tar file. Needs neither Pillow nor
numpy: a page is told by its name, and what turns out to be no image fails when it is read.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from core.containers import Folder, open_container
from core.errors import ArchiveError, PageError
from core.member import DAMAGES, Member, check_size
from core.page import PageReference

_PAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_CONTAINER_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"})
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")

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
    archives: Sequence[str], *, book: str | None = None, progress: Callable[[int], None] | None = None
) -> Listing:
    """All pages of some archives, each with the digest of its bytes.

    A page whose bytes cannot be read is listed too: it will fail alone, with the reason.

    Args:
        archives: paths of directories, images, zip and tar files, or globs of such.
        progress: called after each page with the number of pages so far.

    Raises:
        ArchiveError: an archive is missing, holds no page, is no archive, damaged or encrypted.
    """
    pages: list[PageReference] = []
    n_ignored = 0
    for archive in archives:
        found: list[PageReference] = []
        for reference in chain.from_iterable(_references(path, book) for path in _paths(archive)):
            if reference is None:
                n_ignored += 1
                continue
            found.append(reference)
            if progress is not None:
                progress(len(pages) + len(found))
        if not found:
            raise ArchiveError(
                f"{archive} holds no JPEG, PNG or TIFF images; name what does, such as 'a/*.zip'"
            )
        pages += sorted(found, key=lambda page: (_natural(page.archive), _natural(page.member)))
    return Listing(tuple(pages), n_ignored)


def read_member(archive: str, member: str) -> bytes:
    """The bytes of a page. Archives are kept open, so that reading many pages opens each once.

    Raises:
        PageError: the archive or the page in it is gone or damaged.
    """
    try:
        return open_container(Path(archive)).read(member)
    except (KeyError, FileNotFoundError) as error:
        raise PageError(f"{member} is no longer in {archive}; put it back and retry") from error
    except ArchiveError as error:
        raise PageError(str(error)) from error
    except DAMAGES as error:
        raise PageError(f"{member} in {archive} cannot be read ({error}); correct that and retry") from error


def _paths(archive: str) -> list[Path]:
    """The absolute paths that a name on the command line stands for."""
    # `Path.glob` takes no absolute patterns.
    found = [archive] if os.path.lexists(archive) else glob.glob(archive, recursive=True)  # noqa: PTH207
    if not found:
        raise ArchiveError(f"there is nothing at {archive}; correct the path")
    # Not resolved: on a cluster all hosts share the name of a link, not what it points to.
    return [Path(os.path.normpath(Path(path).absolute())) for path in found]


def _references(path: Path, book: str | None) -> Iterator[PageReference | None]:
    """For each file of an archive its page, or None if it is ignored."""
    try:
        archive, members = _members(path)
        for member in members:
            yield _reference(archive, member, book)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} points to nothing or is gone; correct the path") from error
    except PermissionError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}); correct its permissions") from error
    except DAMAGES as error:
        raise ArchiveError(
            f"{path} is damaged or cut off ({error}); copy it again from its source"
        ) from error


def _members(path: Path) -> tuple[Path, Iterator[Member]]:
    """The archive that a path stands for and its files; an image's archive is its folder."""
    if path.is_file() and not _may_be_container(path):
        return path.parent, iter([Folder(path.parent).member(path.name)])
    return path, open_container(path).members()


def _may_be_container(path: Path) -> bool:
    """Whether a file is a zip or tar file, or is called one."""
    suffix = path.suffix.lower()
    if suffix in _PAGE_SUFFIXES:
        return False
    return suffix in _CONTAINER_SUFFIXES or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _reference(archive: Path, member: Member, book: str | None) -> PageReference | None:
    path = PurePosixPath(member.name)
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    if member.open is None or is_hidden or path.suffix.lower() not in ("", *_PAGE_SUFFIXES):
        return None
    _check_name(f"{archive}/{member.name}")
    try:
        digest = _digest(member, is_page=path.suffix != "")
    except (PageError, *DAMAGES):
        digest = None if path.suffix == "" else _stand_in(archive, member)
    if digest is None:
        return None
    return PageReference(
        archive=str(archive),
        member=member.name,
        digest=digest,
        size_bytes=member.size_bytes,
        book=book or _book(archive, path),
    )


def _check_name(path: str) -> None:
    """Refuse a name with bytes that are no UTF-8: the database could not keep it."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{path!r} is not named in UTF-8; rename it") from error


def _digest(member: Member, *, is_page: bool) -> str | None:
    """SHA-256 of the content; None if only its first bytes can tell a page, and they do not."""
    check_size(member.size_bytes)
    assert member.open is not None
    with member.open() as file:
        chunk = file.read(1 << 20)
        if not is_page and not chunk.startswith(_FIRST_BYTES):
            return None
        sha = hashlib.sha256()
        while chunk:
            sha.update(chunk)
            chunk = file.read(1 << 20)
    return sha.hexdigest()


def _stand_in(archive: Path, member: Member) -> str:
    """What a page is known by whose bytes cannot be read: it is listed, and fails when its turn comes."""
    return hashlib.sha256(f"unreadable\0{archive}\0{member.name}".encode()).hexdigest()


def _book(archive: Path, member: PurePosixPath) -> str:
    """The work: as CODH names its pages, else the innermost folder that is not just called `images`."""
    if match := _CODH_NAME.fullmatch(member.stem):
        return match[1]
    if archive.suffix.lower() in _CONTAINER_SUFFIXES:
        folders: tuple[str, ...] = (archive.name.split(".")[0], *member.parent.parts)
    else:
        folders = (*archive.parts, *member.parent.parts)
    return next((name for name in reversed(folders) if name.lower() not in _KINDS_OF_FILE), folders[0])


def _natural(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
