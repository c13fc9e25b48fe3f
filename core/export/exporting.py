"""This module takes pages out of the database and into files of a format, a few pages at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import IO, Any

from fumikura.core.errors import PageError, UsageError
from fumikura.core.export.file_names import FileNames
from fumikura.core.export.folder import ExportFolder, NewFiles, opened_folder
from fumikura.core.export.formats import Extent, Format, Style, load_format
from fumikura.core.read_page import ReadPage
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import (
    PAGES_AT_ONCE,
    PageKey,
    Selection,
    fetch_pages,
    is_contained,
    stream_keys,
)

_EXTENT_NAMES: dict[Extent, str] = {"page": "each page", "book": "each book", "all": "all pages together"}

#: Called with the number of pages that are done.
Progress = Callable[[int], None]


@dataclass(slots=True)
class Exported:
    """This is what became of an export; it is counted up while that goes on.

    Attributes:
        n_pages: that are in the files now, those of earlier exports included.
        n_characters: on the pages written by this one.
        n_written: files written by this one.
        n_kept: files that an earlier one had written, and that were still right.
        left_out: (page or book, reason) of what a format could not show, such as a page whose scan is gone.
    """

    n_pages: int = 0
    n_characters: int = 0
    n_written: int = 0
    n_kept: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


def export(
    engine: Engine,
    selection: Selection,
    out: Path,
    *,
    format_name: str,
    extent: Extent | None = None,
    style: Style | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the selected pages into a folder.

    Given again, it writes what is missing there or was read anew since; a file of several pages is written
    whole or not at all. Where nothing was read, no folder is made.

    Args:
        extent: what one file holds; None is the format's usual one.

    Raises:
        UsageError: there is no such format or extent, or the folder holds what is not of this export.
        FumikuraError: there is no such run or page.
    """
    chosen = load_format(format_name)
    extent = chosen.extents[0] if extent is None else extent
    if extent not in chosen.extents:
        raise UsageError(
            f"{format_name} has no file for {_EXTENT_NAMES[extent]}; it has one for"
            f" {' or '.join(_EXTENT_NAMES[one] for one in chosen.extents)}"
        )
    style = replace(style or Style(), extent=extent)
    _check_base_url(style.base_url, needed=chosen.needs_base_url, format_name=format_name)
    what = {"format": format_name, "file_per": extent, "unsure": style.unsure_below, **_plain(selection)}
    if style.base_url is not None:
        what["base_url"] = style.base_url
    exported = Exported()
    if next(stream_keys(engine, selection), None) is None:
        return exported  # and no folder is made
    with opened_folder(out, what, goes_on=partial(_goes_on, engine, what)) as folder:
        job = _Job(engine, selection, chosen, style, folder, exported, progress)
        if extent == "page":
            _export_each(job)
        else:
            _export_together(job)
    return exported


def _goes_on(engine: Engine, what: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    """Tell whether the run that is exported reads all pages of the run whose files lie there."""
    newer, older = what.get("run_id"), held.get("run_id")
    is_alike = {**held, "run_id": newer} == what
    return is_alike and newer is not None and older is not None and is_contained(engine, older, newer)


def _check_base_url(url: str | None, *, needed: bool, format_name: str) -> None:
    if url is None and needed:
        raise UsageError(
            f"{format_name} names its files by URL; say where they will lie, by --base-url https://host/folder"
        )
    if url is not None and not needed:
        raise UsageError(f"--base-url means nothing for {format_name}; leave it out")
    if url is not None and not re.fullmatch(r"https?://[^\s?#\"<>]+", url):
        raise UsageError(f"the base URL {url} is no plain address of http or https; correct it")


@dataclass(frozen=True, slots=True)
class _Job:
    engine: Engine
    selection: Selection
    format: Format
    style: Style
    folder: ExportFolder
    exported: Exported
    progress: Progress | None

    def fetch(self, keys: Sequence[PageKey]) -> list[ReadPage]:
        has_alternatives, has_masks = self.format.has_alternatives, self.format.has_masks
        return fetch_pages(self.engine, keys, self.selection, alternatives=has_alternatives, masks=has_masks)

    def count(self, *, pages: int, characters: int = 0) -> None:
        self.exported.n_pages += pages
        self.exported.n_characters += characters
        if self.progress is not None:
            self.progress(self.exported.n_pages)


def _export_each(job: _Job) -> None:
    """Write the files of each page, but for those that are there."""
    names = FileNames()
    named = ((names.name(key.name, key.digest), key) for key in stream_keys(job.engine, job.selection))
    while some := list(islice(named, PAGES_AT_ONCE)):
        missing = {key.page_id: name for name, key in some if not job.folder.holds(name, key.version)}
        job.exported.n_kept += len(some) - len(missing)
        job.count(pages=len(some) - len(missing))
        for page in job.fetch([key for _, key in some if key.page_id in missing]):
            _write_page(job, page, missing[page.page_id])


def _write_page(job: _Job, page: ReadPage, name: str) -> None:
    try:
        with job.folder.new_files(name, page.version) as new:
            for path, content in _files(job, page, name):
                with new.open(path) as file:
                    content(file)
    except PageError as error:
        job.exported.left_out.append((page.name, str(error)))
        return
    job.exported.n_written += len(new.written)
    job.count(pages=1, characters=len(page.characters))


def _files(job: _Job, page: ReadPage, name: str) -> Iterator[tuple[str, Callable[[IO[bytes]], object]]]:
    """Give the path of each file of a page, and what fills it."""
    if (write := job.format.write) is not None:
        yield name + job.format.suffix, lambda file: write([page], file, replace(job.style, name=name))
    if job.format.files is not None:
        for path, data in job.format.files(page, name, job.style):
            yield path, methodcaller("write", data)


def _export_together(job: _Job) -> None:
    """Write a file for each book, or one for all, but for those that are there."""
    versions: dict[str, tuple[int, Any]] = {}
    for key in stream_keys(job.engine, job.selection):
        group = key.book if job.style.extent == "book" else ""
        n_pages, version = versions.setdefault(group, (0, hashlib.sha256()))
        version.update(f"{key.page_id} {key.version}\n".encode())
        versions[group] = (n_pages + 1, version)
    names = FileNames()
    for book, (n_pages, version) in versions.items():
        mark = hashlib.sha256(book.encode()).hexdigest()
        name = names.name(book, mark) if job.style.extent == "book" else job.format.name
        if job.folder.holds(name, version.hexdigest()):
            job.exported.n_kept += 1
            job.count(pages=n_pages)
        else:
            _write_group(job, book or None, name, version.hexdigest())


def _write_group(job: _Job, book: str | None, name: str, version: str) -> None:
    """Write one file of many pages; `book` is None for all of them. Lacks it a scan, there is no file."""
    assert job.format.write is not None
    exported = job.exported
    before = exported.n_pages, exported.n_characters
    try:
        with job.folder.new_files(name, version) as new, new.open(name + job.format.suffix) as file:
            pages = _with_files(job, _counted(job, book), new, name)
            job.format.write(pages, file, replace(job.style, name=name))
    except PageError as error:
        exported.n_pages, exported.n_characters = before
        exported.left_out.append((name, str(error)))
        return
    exported.n_written += len(new.written)


def _with_files(job: _Job, pages: Iterator[ReadPage], new: NewFiles, name: str) -> Iterator[ReadPage]:
    """Give pages on, and write for each the files that lie beside the one that is being filled."""
    for page in pages:
        for path, data in job.format.files(page, name, job.style) if job.format.files else ():
            with new.open(path) as file:
                file.write(data)
        yield page


def _counted(job: _Job, book: str | None) -> Iterator[ReadPage]:
    keys = stream_keys(job.engine, job.selection if book is None else replace(job.selection, book=book))
    while some := list(islice(keys, PAGES_AT_ONCE)):
        for page in job.fetch(some):
            yield page
            job.count(pages=1, characters=len(page.characters))


def _plain(selection: Selection) -> dict[str, Any]:
    values = asdict(selection)
    labels = values["labels"]
    return {**values, "labels": None if labels is None else "".join(sorted(labels))}
