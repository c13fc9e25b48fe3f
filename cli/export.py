"""fumikura export: take out what was read, in the formats of other programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fumikura.cli import options
from fumikura.cli.language import enumerated, translated
from fumikura.cli.output import console_for, counted, print_json, say
from fumikura.cli.selection import about_newest, or_newest_run, selected, told, unsure
from fumikura.core.export.exporting import Exported, export
from fumikura.core.export.formats import EXTENTS, FORMATS, Extent, Style
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.read_pages import Selection, count_pages

#: Pages that are named of those that a format could not show.
_NAMED = 5
_LISTED = "\n".join(f"  {name:<9}{what}" for name, (_, what) in FORMATS.items())
_HELP = f"""Write what was read into a folder, in the format of another program.

Of the newest run, unless options choose other pages: --run N, --book NAME and more below. What is in
OUT already is written anew only where pages were read again since, so that the same command goes on
after an interruption, and after a newer run of the same archives.

\b
Formats:
{_LISTED}

\b
Example:
  fumikura export --format txt texts/
  fumikura export --format csv --book 200010454 --min-confidence 0.8 tables/

Exit code: 0 all written, 3 some pages could not be.
"""


@click.command(help=_HELP)
@click.option(
    "--format", "format_name", type=click.Choice(list(FORMATS)), metavar="F", required=True, help="See above."
)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--file-per",
    "extent",
    type=click.Choice(EXTENTS),
    help="What one file holds. [default: what is usual for the format]",
)
@click.option("--one-file", "extent", flag_value="all", help="The same as --file-per all.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Where the folder will lie on the web, such as https://host/folder; for iiif alone.",
)
@unsure
@selected
@options.settings("database", "reach")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    selection: Selection,
    format_name: str,
    out: Path,
    extent: Extent | None,
    base_url: str | None,
    unsure_below: float | None,
    as_json: bool,
) -> None:
    exported = export_with_progress(
        settings,
        selection,
        out,
        format_name=format_name,
        extent=extent,
        base_url=base_url,
        unsure_below=unsure_below,
        as_json=as_json,
    )
    ctx.exit(3 if exported.left_out else 0)


def export_with_progress(
    settings: Settings,
    selection: Selection,
    out: Path,
    *,
    format_name: str,
    extent: Extent | None = None,
    base_url: str | None = None,
    unsure_below: float | None,
    as_json: bool,
) -> Exported:
    """Export, show how far it is, and say what came of it."""
    engine = open_existing(settings)
    given, selection = selection, or_newest_run(engine, selection)
    style = Style(
        base_url=base_url,
        unsure_below=unsure_below,
        limits=settings.limits,
        max_pixels=settings.max_pixels,
    )
    with _shown(count_pages(engine, selection)) as progress:
        exported = export(
            engine,
            selection,
            out,
            format_name=format_name,
            extent=extent,
            style=style,
            progress=progress,
        )
    _report(exported, selection, format_name, out, as_json=as_json)
    if not as_json and (others := about_newest(given, selection)):
        say(others)
    return exported


@contextmanager
def _shown(n_pages: int) -> Iterator[Callable[[int], None]]:
    title = TextColumn(translated("exporting"))
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console_for(sys.stderr), transient=True) as bar:
        task = bar.add_task("exporting", total=n_pages)
        yield lambda n_done: bar.update(task, completed=n_done)


def _report(exported: Exported, selection: Selection, format_name: str, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "format": format_name,
                "out": str(out),
                "pages": exported.n_pages,
                "files_written": exported.n_written,
                "files_kept": exported.n_kept,
                "left_out": [{"page": page, "reason": reason} for page, reason in exported.left_out],
            }
        )
    elif not exported.n_pages and not exported.left_out:
        what = told(selection)
        say(f"nothing was read of {what}, nothing written; `fumikura status` tells how far it is")
    else:
        number = exported.n_kept
        kept = f"{number:,} there already" if number else ""
        what = told(selection)
        pages = f"{what}: {counted(exported.n_pages, 'page')} in {out}"
        say(enumerated(pages, f"{counted(exported.n_written, 'file')} written", kept))
    for page, reason in exported.left_out[:_NAMED]:
        say(f"page {page} is left out: {reason}")
    if (more := len(exported.left_out) - _NAMED) > 0:
        say(f"and {counted(more, 'more page')}; --json names them all")
