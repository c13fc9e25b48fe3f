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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.containers import Folder, open_container
from core.errors import ArchiveError, PageError
from core.member import DAMAGES, Limits, Member, shown_name
from core.page import PageReference

_PAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_CONTAINER_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"})
_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")

_NO_PAGES = "holds no JPEG, PNG or TIFF images; name what does, such as 'a/*.zip'"

DEFAULT_LIMITS = Limits()
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
        archives: paths of directories, images, zip and tar files, or globs of such.
        progress: called after each page with the number of pages so far.

    Raises:
        ArchiveError: an archive is missing; or all are empty, damaged or no archives.
    """
    pages: list[PageReference] = []
    failed: list[tuple[Path, ArchiveError]] = []
    n_ignored = 0
    for archive in archives:
        paths, found = _paths(archive), list[PageReference]()
        n_failed = len(failed)
        for path in paths:
            try:
                for reference in _references(path, book, limits):
                    if reference is None:
                        n_ignored += 1
                        continue
                    found.append(reference)
                    if progress is not None:
                        progress(len(pages) + len(found))
            except ArchiveError as error:
                failed.append((path, error))
        if not found and len(failed) == n_failed:
            failed.append((paths[0], ArchiveError(f"{archive} {_NO_PAGES}")))
        pages += sorted(found, key=lambda page: (_natural(page.archive), _natural(page.member)))
    if not pages and failed:
        raise failed[0][1]
    return Listing((*pages, *(_stand_in_page(path, book) for path, _ in failed)), n_ignored)


def read_member(archive: str, member: str, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a page. Archives are kept open, so that reading many pages opens each once.

    Raises:
        PageError: the archive or the page in it is gone, damaged or claims too much.
    """
    if not member:
        raise PageError(_archive_problem(Path(archive), limits))
    try:
        return open_container(Path(archive), limits).read(member)
    except (KeyError, FileNotFoundError) as error:
        raise PageError(f"{member} is no longer in {archive}; put it back and retry") from error
    except ArchiveError as error:
        raise PageError(str(error)) from error
    except DAMAGES as error:
        raise PageError(f"{member} in {archive} cannot be read ({error}); correct that and retry") from error


def _archive_problem(path: Path, limits: Limits) -> str:
    """Why an archive could not be listed, or not to its end."""
    try:
        with _explained(path):
            for _ in _members(path, limits)[1]:
                pass
    except ArchiveError as error:
        return str(error)
    return f"{path} {_NO_PAGES}; or it was mended by now: then name it again"


def _paths(archive: str) -> list[Path]:
    """The absolute paths that a name on the command line stands for."""
    # `Path.glob` takes no absolute patterns.
    found = [archive] if os.path.lexists(archive) else glob.glob(archive, recursive=True)  # noqa: PTH207
    if not found:
        raise ArchiveError(f"there is nothing at {archive}; correct the path")
    # Not resolved: on a cluster all hosts share the name of a link, not what it points to.
    return [Path(os.path.normpath(Path(path).absolute())) for path in found]


def _references(path: Path, book: str | None, limits: Limits) -> Iterator[PageReference | None]:
    """For each file of an archive its page, or None if it is ignored."""
    with _explained(path):
        archive, members = _members(path, limits)
        if shown_name(str(archive)) != str(archive):
            raise ArchiveError(f"{str(archive)!r} is not named in UTF-8; rename it")
        for member in members:
            yield _reference(archive, member, book)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
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


def _members(path: Path, limits: Limits) -> tuple[Path, Iterator[Member]]:
    """The archive that a path stands for and its files; an image's archive is its folder."""
    if path.is_file() and not _may_be_container(path):
        return path.parent, iter([Folder(path.parent, limits).member(path.name)])
    return path, open_container(path, limits).members()


def _may_be_container(path: Path) -> bool:
    """Whether a file is a zip or tar file, or is called one."""
    suffix = path.suffix.lower()
    if suffix in _PAGE_SUFFIXES:
        return False
    return suffix in _CONTAINER_SUFFIXES or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _reference(archive: Path, member: Member, book: str | None) -> PageReference | None:
    path = PurePosixPath(member.name)
    is_hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in path.parts)
    has_page_name = path.suffix.lower() in _PAGE_SUFFIXES
    if is_hidden or not (has_page_name or path.suffix == ""):
        return None
    if member.open is not None:
        try:
            digest = _digest(member.open, is_page=has_page_name)
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
        size_bytes=min(max(0, member.size_bytes), _LARGEST_INTEGER),
        book=book or _book(archive, path),
    )


def _digest(open_member: Callable[[], IO[bytes]], *, is_page: bool) -> str | None:
    """SHA-256 of the content; None if only its first bytes can tell a page, and they do not."""
    with open_member() as file:
        chunk = file.read(1 << 20)
        if not is_page and not chunk.startswith(_FIRST_BYTES):
            return None
        sha = hashlib.sha256()
        while chunk:
            sha.update(chunk)
            chunk = file.read(1 << 20)
    return sha.hexdigest()


def _stand_in(archive: Path, member: str) -> str:
    """What a page is known by whose bytes cannot be read: it is listed, and fails when its turn comes."""
    return hashlib.sha256(f"{archive}\0{member}".encode()).hexdigest()


def _stand_in_page(path: Path, book: str | None) -> PageReference:
    """A page that stands for all that cannot be read of an archive; its member's name is empty."""
    archive = Path(shown_name(str(path)))
    return PageReference(str(archive), "", _stand_in(archive, ""), 0, book or _book(archive, PurePosixPath()))


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
