"""This module finds what a name on the command line stands for, opens it, and reads the bytes of one page.

It needs neither Pillow nor numpy: a page is told by its name, and what turns out to be no image fails
when it is decoded.
"""

from __future__ import annotations

import glob
import hashlib
import os
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import url2pathname

from fumikura.core.archives.containers import is_packed, open_container
from fumikura.core.archives.folders import Folder, real_path
from fumikura.core.archives.frames import check_book, frame_at, read_frame
from fumikura.core.archives.kinds import PAGE_FORMATS, is_book_name, is_page_name
from fumikura.core.archives.linked import LinkedPage, is_linked
from fumikura.core.archives.manifests import expanded, is_manifest, linked_pages, open_manifest, split_wanted
from fumikura.core.archives.member import DAMAGES, Member, is_lost_share
from fumikura.core.archives.names import forms, one_form
from fumikura.core.archives.remote import matches, remote_image
from fumikura.core.archives.urls import Place, Url, is_url, parse_url
from fumikura.core.errors import ArchiveError, PageError, StorageError
from fumikura.core.limits import DEFAULT_LIMITS, Limits

#: The end of a sentence about an archive.
NO_PAGES = f"holds no {PAGE_FORMATS}; name what does, such as 'a/*.zip'"


def find_places(archive: str, limits: Limits) -> list[Place]:
    """Find what a name on the command line stands for: one archive, or all that a pattern matches.

    Raises:
        ArchiveError: there is nothing of this name, or it is no URL of an archive.
        StorageError: the server of a URL does not answer.
    """
    archive = split_wanted(archive)[0]
    place = _place(archive)
    if is_manifest(existing(place) if isinstance(place, Path) else place):
        with explained(place):
            return expanded(place, limits)
    if isinstance(place, Url):
        found: list[Place] = list(matches(place, limits))
    else:
        path = str(place) if is_url(archive) else archive
        if os.path.lexists(path) or (path and os.path.lexists(existing(place))):
            return [place]
        # `Path.glob` takes no absolute patterns.
        paths = [name for form in forms(path) for name in glob.glob(form, recursive=True)]  # noqa: PTH207
        found = list(dict.fromkeys(map(_place, paths)))
    if not found:
        raise ArchiveError(f"there is nothing at {archive}; correct the path")
    return found


def archive_name(archive: str) -> str:
    """Name an archive as the store does: absolute, links not followed; of a URL its plain form."""
    return str(_place(split_wanted(archive)[0]))


def open_archive(place: Place, limits: Limits, *, group: str | None = None) -> tuple[Place, Iterator[Member]]:
    """Give the archive that a place stands for, and its files; the archive of an image is its folder.

    Args:
        group: of files, in a METS file; None is the one that is best to read.
    """
    if is_manifest(real := place if isinstance(place, Url) else existing(place)):
        return open_manifest(real, limits, group)
    if isinstance(place, Url):
        if place.suffix and (is_page_name(place.name) or is_book_name(place.name)):
            return place.parent, iter([remote_image(place, limits)])
        return place, open_container(place, limits).members()
    assert isinstance(real, Path)
    if real.is_file() and not _may_be_container(real):
        return place.parent, iter([Folder(real.parent, limits).member(real.name)])
    return place, open_container(real, limits).members()


def read_member(
    archive: str, member: str, *, digest: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Read the bytes of a page. Archives are kept open, so that reading many pages opens each once.

    The archive was there when the page was added. Where it lies on a disk, what is wrong with it now may
    be wrong on this machine alone: a folder that is not mounted, a copy that is not finished.

    Args:
        digest: SHA-256 of the page; it spares a compressed tar from being searched to its end for newer
            versions. Other bytes may come all the same, if the page has changed.

    Raises:
        PageError: the archive or the page in it is gone, damaged or claims too much, or its server does
            not answer.
    """
    place = _place(archive)
    is_here = not isinstance(place, Url)
    try:
        if not member:
            raise _archive_problem(place, limits)
        real = place if isinstance(place, Url) else existing(place)
        container = open_container(real, limits)
        if (frame := frame_at(member)) is not None:
            return read_frame(place, container, frame, digest, limits)
        if is_book_name(member):
            check_book(container, member, limits)
            return b""
        return container.read(member, digest)
    except (KeyError, FileNotFoundError) as error:
        raise PageError(_loss(place, member), is_only_here=is_here) from error
    except (ArchiveError, StorageError) as error:
        raise PageError(str(error), is_only_here=is_here or error.is_only_here) from error
    except DAMAGES as error:
        problem = f"{member} in {archive} cannot be read ({error}); correct that and retry"
        raise PageError(problem, is_only_here=is_lost_share(error)) from error


def linked_page(archive: str, member: str, digest: str, limits: Limits) -> LinkedPage | None:
    """Give what a manifest says of a page; None if it is none, cannot be read, or names the page no more."""
    place = _place(archive)
    if not is_linked(place, member):
        return None
    try:
        with explained(place):
            real = place if isinstance(place, Url) else existing(place)
            return linked_pages(real, limits).page(member, digest)
    except (ArchiveError, StorageError, PageError, KeyError):
        return None


def is_unchanged(data: bytes, archive: str, member: str, digest: str) -> bool:
    """Tell whether these bytes of a page are those that it is known by."""
    # Before a page of a file is given out, that was compared; what a manifest names is known by its address.
    is_known = frame_at(member) is not None or is_linked(_place(archive), member)
    return is_known or hashlib.sha256(data).hexdigest() == digest


def _loss(place: Place, member: str) -> str:
    # Not `place.exists()`, which raises what a share that hangs does.
    if isinstance(place, Url) or os.path.exists(place):  # noqa: PTH110
        return f"{member} is no longer in {place}; put it back and retry"
    return f"{place} is not there on {socket.gethostname()}; put it there, or mount it, and retry"


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Raise whatever goes wrong with an archive as an ArchiveError."""
    try:
        yield
    except FileNotFoundError as error:
        is_here = not isinstance(place, Url)
        problem = f"{place} points to nothing or is gone; correct the path"
        raise ArchiveError(problem, is_only_here=is_here) from error
    except PermissionError as error:
        problem = f"{place} cannot be read ({error.strerror}); correct its permissions"
        raise ArchiveError(problem, is_only_here=True) from error
    except DAMAGES as error:
        if is_lost_share(error):
            problem = f"{place} cannot be reached ({error}); mend what it lies on, and try again"
            raise ArchiveError(problem, is_only_here=True) from error
        raise ArchiveError(
            f"{place} is damaged or cut off ({error}); copy it again from its source"
        ) from error


def _place(archive: str) -> Place:
    """Give the absolute path or the URL of an archive."""
    if is_url(archive):
        scheme, _, path = archive.partition("://")
        if scheme.lower() not in ("file", "local"):
            return parse_url(archive)
        archive = url2pathname(path)
    # Not resolved: on a cluster all hosts share the name of a link, not what it points to.
    typed = os.path.normpath(Path(archive).absolute())
    kept = one_form(typed)
    # Both exist: then each is called by its own name.
    are_two = kept != typed and os.path.exists(kept) and os.path.exists(typed)  # noqa: PTH110
    return Path(typed if are_two and not os.path.samefile(kept, typed) else kept)  # noqa: PTH121


def existing(path: Path) -> Path:
    """Find a path that is kept in another form of Unicode than on the disk; itself if there is nothing."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    return real_path(Path(path.anchor), path.parts[1:]) or path


def _archive_problem(place: Place, limits: Limits) -> PageError:
    """Say why an archive could not be listed, or not to its end."""
    try:
        with explained(place):
            for _ in open_archive(place, limits)[1]:
                pass
    except ArchiveError as error:
        return PageError(str(error), is_only_here=error.is_only_here)
    return PageError(f"{place} {NO_PAGES}; or it was mended by now: then name it again")


def _may_be_container(path: Path) -> bool:
    """Tell whether a file is a zip or tar file, or is called one."""
    if is_page_name(path.name) or is_book_name(path.name):
        return False
    return is_packed(path) or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
