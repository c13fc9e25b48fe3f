"""Write a run as files that any browser opens: the wall of its pages, and each page beside its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fumikura.core.archives.previews import preview
from fumikura.core.archives.scans import read_scan
from fumikura.core.errors import PageError
from fumikura.core.export.folder import NewFiles, opened_folder
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import PageDetails, get_page
from fumikura.core.store.page_list import PageSummary, find_pages
from fumikura.core.store.queries import run_summary
from fumikura.web.page_model import page_as_dict
from fumikura.web.pictures import jpeg
from fumikura.web.rendering import ASSETS, render
from fumikura.web.views import columns_of

#: Pixels of the longer side of a page's picture, and of its small one.
_SIDE, _SMALL_SIDE = 2400, 320
_PAGES_AT_ONCE = 100
_ASSETS = ("room.css", "icon.svg", "page.js", "openseadragon.min.js", "openseadragon_license.txt")


@dataclass(slots=True)
class ReportWritten:
    """This counts what a report shows.

    Attributes:
        left_out: (page, reason) of pages whose scan is gone; they are listed without a picture.
    """

    n_pages: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


class _FileLinks:
    """These are addresses from one file of the report to others."""

    is_static = True

    def __init__(self, up: str) -> None:
        self._up = up

    def asset(self, name: str) -> str:
        return f"{self._up}assets/{name}"

    def home(self) -> str:
        return f"{self._up}index.html"

    def page(self, page_id: int) -> str:
        return f"{self._up}pages/{page_id}.html"

    def thumbnail(self, page_id: int) -> str:
        return f"{self._up}small/{page_id}.jpg"


def write_report(
    engine: Engine,
    run_id: int,
    out: Path,
    *,
    settings: Settings,
    language: str,
    progress: Callable[[int], None],
) -> ReportWritten:
    """Write a run into a folder; what is there of the same report is kept where nothing changed.

    Raises:
        FumikuraError: there is no such run.
        UsageError: the folder holds something else.
    """
    run = run_summary(engine, run_id)
    written = ReportWritten()
    with opened_folder(out, {"format": "report", "run": run_id, "language": language}) as folder:
        pages = _pages(engine, run_id)
        for number, page in enumerate(pages):
            details = get_page(engine, page.page_id, run_id=run_id)
            beside = tuple(
                pages[k].page_id if 0 <= k < len(pages) else None for k in (number - 1, number + 1)
            )
            version = f"{page.reading_id} {page.status} {details.text!r} {beside}"
            if not folder.holds(str(page.page_id), version):
                with folder.new_files(str(page.page_id), version) as new:
                    reason = _write_page(new, engine, details, beside, settings=settings, language=language)
                if reason is not None:
                    written.left_out.append((page.name, reason))
            written.n_pages += 1
            progress(written.n_pages)
        with folder.new_files("index", "") as new:
            suspicious = [page for page in pages if page.suspicions]
            values = {
                **_SHARED,
                "title": f"run {run_id}",
                "run": run,
                "suspicious": suspicious,
                "pages": pages,
                "number": 1,
                "more": False,
                "kept": {},
            }
            _write_text(new, "index.html", "wall.html", values, language=language, up="")
            for name in _ASSETS:
                with new.open(f"assets/{name}") as file:
                    file.write((ASSETS / name).read_bytes())
    return written


_SHARED = {"path": "", "query": "", "is_fuzzy": False, "book": None, "proof": ""}


def _pages(engine: Engine, run_id: int) -> list[PageSummary]:
    pages: list[PageSummary] = []
    while some := find_pages(engine, run_id=run_id, limit=_PAGES_AT_ONCE, offset=len(pages)):
        pages += some
    return pages


def _write_page(
    new: NewFiles,
    engine: Engine,
    page: PageDetails,
    beside: tuple[int | None, ...],
    *,
    settings: Settings,
    language: str,
) -> str | None:
    """Write a page's file and pictures; tell why there is no picture, if so."""
    reason = None
    try:
        data = read_scan(page.sources, page.digest, limits=settings.limits)
        for folder, side in (("scans", _SIDE), ("small", _SMALL_SIDE)):
            picture = jpeg(preview(data, long_side=side, max_pixels=settings.max_pixels))
            with new.open(f"{folder}/{page.page_id}.jpg") as file:
                file.write(picture)
    except PageError as error:
        reason = str(error)
    values = {
        **_SHARED,
        "page": page,
        "model": page_as_dict(engine, page),
        "columns": columns_of(page.characters),
        "before": beside[0],
        "after": beside[1],
        "chosen": None,
        "can_edit": False,
        "image": f"../scans/{page.page_id}.jpg",
        "mask": None,
    }
    _write_text(new, f"pages/{page.page_id}.html", "page.html", values, language=language, up="../")
    return reason


def _write_text(
    new: NewFiles, name: str, template: str, values: dict[str, object], *, language: str, up: str
) -> None:
    text = render(template, language=language, links=_FileLinks(up), values=values)
    with new.open(name) as file:
        file.write(text.encode())
