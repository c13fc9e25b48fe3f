"""fumikura evaluate layout: see whether characters are read where the lines of photographs are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.output import console_for, make_table, print_json, print_tables, say, say_unknown
from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings

if TYPE_CHECKING:
    from fumikura.core.scoring.comparison import ComparedPage, KnownPage
    from fumikura.core.scoring.layout import Layout, LayoutCounts

_COLUMNS = {
    "characters": "characters",
    "in lines": "characters_in_lines",
    "outside the material": "characters_outside_material",
    "columns covered": "columns_covered",
}


@click.command()
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE...")
@click.option("--book", metavar="NAME", help="The work all these pages belong to. [default: from the names]")
@click.option(
    "--layout",
    "layouts",
    type=options.Existing(),
    multiple=True,
    required=True,
    metavar="PATH",
    help="VOC XML of lines and material, PAGE.xml each, or a folder of them. Repeatable.",
)
@options.settings("recipe", "device", "reach")
@options.as_json
@click.pass_context
def layout(
    ctx: click.Context,
    settings: Settings,
    archives: tuple[str, ...],
    book: str | None,
    layouts: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Read photographs and compare where characters were found with the lines that people drew.

    Needs no transcription. A layout is Pascal VOC XML, as the National Diet Library publishes it.
    What the figures mean stands in docs/evaluation.md. Nothing is kept: no database, no queue.

    \b
    Example:
      fumikura evaluate layout spreads/ --layout spreads/ --json

    Exit code: 0 all done, 3 some pages could not be read.
    """
    from fumikura.core.archives.listing import list_pages
    from fumikura.core.scoring.comparison import KnownPage
    from fumikura.core.scoring.layout import load_layouts

    drawn = load_layouts(layouts)
    pages = list_pages(archives, book=book, limits=settings.limits).pages
    known = [KnownPage(page, None, None) for page in pages if page.name in drawn]
    if not known:
        raise UsageError("no page of these archives has a layout; compare the names of pages and XML files")
    say_unknown([page.name for page in pages if page.name not in drawn])
    counts, failed = _count(known, drawn, settings)
    for page in failed:
        say(f"{page.known.reference.name} was left out: {page.error}")
    _print(counts, {one.reference.name: one.reference.book for one in known}, as_json=as_json)
    ctx.exit(3 if failed else 0)


def _count(
    pages: list[KnownPage], layouts: dict[str, Layout], settings: Settings
) -> tuple[dict[str, LayoutCounts], list[ComparedPage]]:
    """Read the pages; return the counts of each by its name, and those that cannot be read."""
    from rich.progress import track

    from fumikura.core.recognition.reader import load_reader
    from fumikura.core.scoring.comparison import compare_pages
    from fumikura.core.scoring.layout import count_layout

    reader = load_reader(settings, options.first_device(settings))
    counts, failed = {}, []
    for page in track(
        compare_pages(reader, pages, settings),
        description=translated("reading"),
        total=len(pages),
        console=console_for(sys.stderr),
        transient=True,
    ):
        if page.error is not None:
            failed.append(page)
        else:
            name = page.known.reference.name
            counts[name] = count_layout([one.box for one in page.characters], layouts[name])
    return counts, failed


def _print(counts: dict[str, LayoutCounts], books: dict[str, str], *, as_json: bool) -> None:
    """Print each page, each book, and all together."""
    from fumikura.core.scoring.layout import layout_figures

    by_book = {
        book: [one for name, one in counts.items() if books[name] == book]
        for book in dict.fromkeys(books[name] for name in counts)
    }
    found = [
        *(("page", name, layout_figures([one])) for name, one in counts.items()),
        *(("book", book, layout_figures(some)) for book, some in by_book.items()),
        ("total", "", layout_figures(list(counts.values()))),
    ]
    if as_json:
        for scope, name, figures in found:
            print_json({"scope": scope, **({scope: name} if name else {}), **figures})
        return
    rows = [(name or "all pages", *(figures[key] for key in _COLUMNS.values())) for _, name, figures in found]
    print_tables(make_table("page", *_COLUMNS, rows=rows, numbers=range(1, 1 + len(_COLUMNS))))
