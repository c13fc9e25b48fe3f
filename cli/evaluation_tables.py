"""What `evaluate pages` prints: measures by page, by book and in total."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fumikura.cli.output import make_table, print_json, print_tables

if TYPE_CHECKING:
    from rich.table import Table

    from fumikura.core.scoring.calibration import Bin
    from fumikura.core.scoring.comparison import ComparedPage
    from fumikura.core.scoring.evaluation import PageMeasures

# Title of a table, then the header and the figure of each column.
_TABLES = {
    "Mask and boxes": {
        "Dice": "dice",
        "IoU": "iou",
        "detection precision": "detection_precision",
        "recall": "detection_recall",
        "F1": "detection_f1",
    },
    "Labels": {
        "character F1": "character_f1",
        "as written": "character_f1_as_written",
        "accuracy": "character_accuracy",
        "as written ": "character_accuracy_as_written",
        "top 5": "character_accuracy_top5",
        "reading order": "reading_order_accuracy",
        "calibration error": "calibration_error",
    },
    "Text": {
        "pages with text": "text_pages",
        "F1": "text_f1_mean",
        "median": "text_f1_median",
        "error rate": "text_error_rate_mean",
        "median ": "text_error_rate_median",
    },
    "Characters where there are none, mean a page": {
        "empty pages": "empty_pages",
        "on them": "characters_on_empty_pages",
        "in seals": "characters_in_seals",
        "of seal ink": "characters_of_seal_ink",
    },
}

_PAGE_COLUMNS = {
    "character F1": "character_f1",
    "detection F1": "detection_f1",
    "accuracy": "character_accuracy",
    "reading order": "reading_order_accuracy",
    "text F1": "text_f1",
    "error rate": "text_error_rate",
}


def print_figures(pages: Sequence[ComparedPage]) -> None:
    """One object a line: the pages, then the books, then all pages together."""
    from fumikura.core.scoring.evaluation import figures, page_figures

    for page in pages:
        found = {"error": page.error} if page.measures is None else page_figures(page.measures)
        reference = page.known.reference
        is_learnt = {"is_learnt": page.is_learnt}
        print_json({"scope": "page", "page": reference.name, "book": reference.book, **is_learnt, **found})
    books = _by_book(pages)
    for book, measures in books.items():
        print_json({"scope": "book", "book": book, **figures(measures)})
    if learnt := _learnt(pages):
        print_json({"scope": "learnt", **figures(learnt)})
    total = figures([one for measures in books.values() for one in measures])
    print_json({"scope": "total", **total, "learnt_pages": len(learnt)})


def print_measures(pages: Sequence[ComparedPage], worst: Sequence[ComparedPage]) -> None:
    """The same as tables, of the pages only the worst."""
    from fumikura.core.scoring.evaluation import figures

    books = _by_book(pages)
    total = figures([one for measures in books.values() for one in measures])
    rows = {book: figures(measures) for book, measures in books.items()}
    if len(rows) > 1:
        rows["all books"] = total
    if learnt := _learnt(pages):
        rows["learnt from"] = figures(learnt)
    tables = [
        _book_table(title, columns, rows)
        for title, columns in _TABLES.items()
        if any(found[name] for found in rows.values() for name in columns.values())
    ]
    if total["calibration_error"] is not None:
        tables.append(_calibration_table(total["calibration"]))
    print_tables(*tables, _page_table(worst))


def _by_book(pages: Sequence[ComparedPage]) -> dict[str, list[PageMeasures]]:
    books: dict[str, list[PageMeasures]] = defaultdict(list)
    for page in pages:
        if page.measures is not None and not page.is_learnt:
            books[page.known.reference.book].append(page.measures)
    return books


def _learnt(pages: Sequence[ComparedPage]) -> list[PageMeasures]:
    return [page.measures for page in pages if page.is_learnt and page.measures is not None]


def _book_table(title: str, columns: dict[str, str], books: dict[str, dict[str, Any]]) -> Table:
    rows = [
        [book, found["pages"], *(found[name] for name in columns.values())] for book, found in books.items()
    ]
    return make_table("book", "pages", *columns, rows=rows, numbers=range(1, 2 + len(columns)), title=title)


def _calibration_table(bins: Sequence[Bin]) -> Table:
    rows = [
        (f"{one.low:.1f} to {one.high:.1f}", one.characters, one.confidence, one.accuracy) for one in bins
    ]
    columns = ("sure", "characters", "mean", "right")
    return make_table(*columns, rows=rows, numbers=range(1, 4), title="Found characters by confidence")


def _page_table(pages: Sequence[ComparedPage]) -> Table:
    from fumikura.core.scoring.evaluation import page_figures

    rows = []
    for page in pages:
        found = page_figures(page.measures) if page.measures is not None else {}
        reference = page.known.reference
        rows.append([reference.name, reference.book, *(found.get(name) for name in _PAGE_COLUMNS.values())])
    columns = ("page", "book", *_PAGE_COLUMNS)
    return make_table(*columns, rows=rows, numbers=range(2, len(columns)), title="Pages, the worst first")
