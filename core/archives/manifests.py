"""This module opens manifests, collections and METS files, and keeps them open for the next call."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from fumikura.core.archives import iiif, mets
from fumikura.core.archives.documents import document
from fumikura.core.archives.folders import Folder
from fumikura.core.archives.iiif import Collection
from fumikura.core.archives.linked import LINKING_SUFFIXES, LinkedPage, LinkedPages, may_link
from fumikura.core.archives.member import Member
from fumikura.core.archives.urls import Place, Url, parse_address, parse_url
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

#: A manifest behind a URL is fetched anew after so long: a worker asks for it with each page.
_KEPT_S = 600
#: In whose beginning a local file tells what it is.
_HEAD_BYTES = 1 << 16
#: Collections below one, and how deep they may lie.
_MOST_COLLECTIONS, _DEEPEST = 1000, 20
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})?)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """This says what of an archive is wanted: it stands behind its name, as in `manifest.json#1-20`.

    Attributes:
        pages: the first and the last, from 1; None wants all.
        group: of files, in a METS file.
    """

    pages: tuple[int, int] | None = None
    group: str | None = None


def split_wanted(archive: str) -> tuple[str, Wanted]:
    """Part the name of a manifest or METS file from what of it is wanted; others stay as they are.

    Raises:
        ArchiveError: the pages are none.
    """
    name, _, part = archive.rpartition("#")
    if not name or not _is_named_so(name) or Path(archive).exists():
        return archive, Wanted()
    wanted = Wanted()
    for one in part.split(","):
        if (found := _RANGE.fullmatch(one)) is None:
            wanted = replace(wanted, group=one)
            continue
        first = int(found[1])
        last = first if "-" not in one else int(found[2] or 10**9)
        if not 1 <= first <= last:
            raise ArchiveError(f"{archive} names no pages; write #1-20, #7 or #100-")
        wanted = replace(wanted, pages=(first, last))
    return name, wanted


def _is_named_so(name: str) -> bool:
    if "://" not in name:
        return Path(name).suffix.lower() in LINKING_SUFFIXES
    with suppress(ArchiveError):
        return may_link(parse_url(name))
    return False


def is_manifest(place: Place) -> bool:
    """Tell whether a place is a manifest, a collection or a METS file: a local file by its beginning."""
    if isinstance(place, Url):
        return may_link(place)
    if place.suffix.lower() not in LINKING_SUFFIXES or not place.is_file():
        return False
    with place.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return iiif.MARK in head or mets.MARK in head


def expanded(place: Place, limits: Limits) -> list[Place]:
    """Give the manifests of a collection, of collections in it too; a manifest is its own.

    The collection itself is among them if anything in it is wrong; opened, it says what.

    Raises:
        ArchiveError: it is neither.
        FileNotFoundError: it is gone.
        StorageError: its server does not answer.
    """
    if not isinstance(_opened(place, None, limits), Collection):
        return [place]
    found, problems = _below(place, limits)
    return [*found, *([place] if problems else [])]


def open_manifest(place: Place, limits: Limits, group: str | None = None) -> tuple[Place, Iterator[Member]]:
    """Give the archive in which the pages of a manifest or METS file lie, and these.

    Files that a local METS file names are those of its folder; all else is an archive itself.

    Raises:
        ArchiveError: it is neither, names no pages, or is a collection with something wrong in it.
    """
    opened = _opened(place, group, limits)
    if isinstance(opened, Collection):
        problems = _below(place, limits)[1]
        more = f"; and {len(problems) - 1} more like that" if len(problems) > 1 else ""
        raise ArchiveError(f"{problems[0]}{more}" if problems else f"{place} names no manifest; name another")
    if isinstance(opened, LinkedPages):
        return place, opened.members()
    assert isinstance(place, Path)
    return place.parent, _in_folder(place, opened, limits)


def linked_pages(place: Place, limits: Limits) -> LinkedPages:
    """Open a manifest, to read pages of it.

    Raises:
        KeyError: it names none any more.
        OSError: it is gone or unreadable.
    """
    opened = _opened(place, None, limits)
    if not isinstance(opened, LinkedPages):
        raise KeyError(str(place))
    return opened


def _opened(
    place: Place, group: str | None, limits: Limits
) -> LinkedPages | Collection | tuple[mets.MetsFile, ...]:
    if isinstance(place, Path):
        status = place.stat()
        version = f"{status.st_size} {status.st_mtime_ns}"
    else:
        version = str(int(time.monotonic() / _KEPT_S))
    return _open_unchanged(place, version, group, limits)


@lru_cache(maxsize=8)
def _open_unchanged(
    place: Place, version: str, group: str | None, limits: Limits
) -> LinkedPages | Collection | tuple[mets.MetsFile, ...]:
    del version  # what tells two states of it apart
    data = document(place, limits)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        pages = iiif.parse(data, place, limits)
        return pages if isinstance(pages, Collection) else LinkedPages(place, pages, limits)
    files = mets.files_of(data, place, group, limits)
    are_here = [not urlsplit(file.href).scheme for file in files]
    if isinstance(place, Path) and any(are_here):
        return files
    linked = [
        LinkedPage(
            number, urljoin(str(place), file.href) if isinstance(place, Url) else file.href, label=file.label
        )
        for number, file in enumerate(files, start=1)
    ]
    return LinkedPages(place, linked, limits)


def _in_folder(place: Path, files: tuple[mets.MetsFile, ...], limits: Limits) -> Iterator[Member]:
    """Yield files that lie below the folder of a METS file; others are none of its business."""
    folder = Folder(place.parent, limits)
    for file in files:
        path = PurePosixPath(unquote(file.href))
        if urlsplit(file.href).scheme or path.is_absolute() or ".." in path.parts:
            kind = f"address that {place.name} may not name, as it leads out of its folder"
            yield Member(file.href[:200], 0, None, left_out=kind)
            continue
        yield replace(folder.member(str(path)), label=file.label or None)


def _below(root: Place, limits: Limits) -> tuple[list[Place], list[str]]:
    """List all manifests below a collection, each once, and say what is wrong with what is none."""
    found: dict[str, Place] = {}
    problems: list[str] = []
    n_collections = 0

    def walk(collection: Collection, above: tuple[str, ...]) -> None:
        nonlocal n_collections
        n_collections += 1
        for named in collection.named:
            try:
                place = parse_url(parse_address(named.address).text)
            except ArchiveError as error:
                problems.append(f"{error}; {above[-1]} names it")
                continue
            name = str(place)
            if name in above:
                ring = " > ".join([*above[above.index(name) :], name])
                problems.append(f"collections in a loop: {ring}; name its manifests one by one")
            elif name not in found:
                inner = _collection_at(place, limits) if named.is_collection else None
                if inner is None:
                    found[name] = place  # if it is no manifest, it will say so
                elif n_collections >= _MOST_COLLECTIONS or len(above) >= _DEEPEST:
                    problems.append(f"{name} is one collection too many; name it by itself")
                else:
                    walk(inner, (*above, name))

    opened = _opened(root, None, limits)
    if isinstance(opened, Collection):
        walk(opened, (str(root),))
    return list(found.values()), problems


def _collection_at(place: Place, limits: Limits) -> Collection | None:
    try:
        opened = _opened(place, None, limits)
    except (ArchiveError, FileNotFoundError):
        return None
    return opened if isinstance(opened, Collection) else None
