"""This module lists the formats that can be exported; each has a writer in a module of its own here.

A new format is a module with a `FORMAT`, and a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Literal

from fumikura.core.errors import UsageError
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.read_page import ReadPage

#: What one file holds: a page, the pages of a book, or all pages.
Extent = Literal["page", "book", "all"]
EXTENTS: tuple[Extent, ...] = ("page", "book", "all")

#: Names of the formats, in the order of the help, with the module that writes each and what it is.
FORMATS = {
    "txt": ("plain_text", "plain text, a line a column"),
    "koji": ("koji", "the notation of みんなで翻刻, notes in two halves included"),
    "jsonl": ("json_lines", "a JSON object a page, with all that is known of it"),
    "csv": ("character_table", "a row a character, for spreadsheets"),
    "parquet": ("parquet", "a row a character, for pandas and DuckDB (fumikura[parquet])"),
    "alto": ("alto", "ALTO 4.4, with boxes, confidence and next-best labels of characters"),
    "page": ("page_xml", "PAGE-XML of 2019, likewise"),
    "hocr": ("hocr", "hOCR 1.2: XHTML with boxes and confidence of characters"),
    "tei": ("tei", "TEI P5: zones of the facsimile, and text that refers to them"),
    "iiif": ("iiif", "a IIIF manifest with a text annotation a column; needs --base-url"),
    "html": ("html", "the scans beside their text, for a browser"),
    "docx": ("docx", "a Word document with vertical text (fumikura[docx])"),
    "pdf": ("pdf", "the scans, with invisible text behind them (fumikura[pdf])"),
    "codh": ("codh", "coordinate CSV as CODH publishes it"),
    "coco": ("coco", "COCO's JSON for object detection"),
    "kaggle": ("kaggle", "a submission of the Kuzushiji Recognition contest"),
    "masks": ("masks", "a black and white PNG a page"),
    "crops": ("crops", "a folder of images a character, to train on"),
}


@dataclass(frozen=True, slots=True)
class Style:
    """A style says how pages are written, as far as a format has a choice.

    Attributes:
        extent: what the file holds that is being written.
        name: of that file, without the suffix.
        base_url: where the folder will lie, for formats that name their files by URL.
        unsure_below: characters of less confidence are marked as 〔に？〕 where text is for people.
        limits: of the archives, for formats that need the scans.
        max_pixels: of a scan that is decoded.
    """

    extent: Extent = "page"
    name: str = ""
    base_url: str | None = None
    unsure_below: float | None = None
    limits: Limits = DEFAULT_LIMITS
    max_pixels: int = 200_000_000


@dataclass(frozen=True, slots=True)
class Format:
    """A format says how pages become files. It has `write` or `files`, or both.

    Attributes:
        extents: what one file may hold; the first is the default.
        suffix: of the files that `write` fills, such as ".txt".
        name: of the one file that holds all pages, without the suffix.
        write: writes some pages into one open binary file, as they come: few of them may be held.
        files: gives the files of one page as (path below the export's folder, content), for formats that
            make several, or beside the one that `write` fills. Their paths must not depend on other pages
            but through the second argument: the name of the page's or the group's own file, which is unique.
        has_alternatives: whether the next-best labels are needed, which take time to fetch.
        has_masks: likewise the masks.
        needs_base_url: whether it must be known where the folder will lie on the web.
    """

    extents: tuple[Extent, ...]
    suffix: str = ""
    name: str = "pages"
    write: Callable[[Iterable[ReadPage], IO[bytes], Style], None] | None = None
    files: Callable[[ReadPage, str, Style], Iterable[tuple[str, bytes]]] | None = None
    has_alternatives: bool = False
    has_masks: bool = False
    needs_base_url: bool = False


def load_format(name: str) -> Format:
    """Load the writer of a format.

    Raises:
        UsageError: there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    module = import_module(f"fumikura.core.export.{FORMATS[name][0]}")
    found: Format = module.FORMAT
    return found
