"""fumikura show: draw what was read over pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.output import console_for, counted, print_json, put, say
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.core.settings import Settings
from fumikura.core.store.choosing import choose_pages
from fumikura.core.store.existing_database import open_existing

if TYPE_CHECKING:
    from fumikura.core.page_drawing import Drawn


@click.command()
@click.argument("pages", nargs=-1, metavar="[PAGE]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A .png, .jpg, .webp, .tif or .pdf file; or a folder, for JPEGs. Several pages go into a folder or"
    " into one .pdf. [default: PAGE.png in this folder]",
)
@click.option(
    "--size",
    type=click.IntRange(100, 20_000),
    default=2400,
    metavar="PIXELS",
    help="Long side of the page in its drawing.",
)
@click.option("--mask/--no-mask", "has_mask", default=True, help="Draw a line around the mask, or none.")
@options.run_id
@options.recipe
@options.settings("database", "reach")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    pages: tuple[str, ...],
    output: Path | None,
    size: int,
    has_mask: bool,
    run_id: int | None,
    recipe: str | None,
    as_json: bool,
) -> None:
    """Draw what was read over pages.

    PAGE is a name as `fumikura query pages` lists it, an id, the beginning of the image's SHA-256, a
    book, or a pattern such as '200010454_*'; with --run alone, all that was read for this run is
    drawn. A label stands beside each box, in a colour that says how sure it is (the legend tells),
    and a thin line follows the reading order through each column. A file that fumikura did not
    write is never replaced.

    \b
    Example:
      fumikura show 200010454_00016_1
      fumikura show 200010454 -o drawings/
      fumikura show --run 3 --no-mask -o run_3.pdf

    Exit code: 0 all drawn, 1 error, 3 some pages could not be drawn.
    """
    if not pages and run_id is None:
        raise UsageError("name a page, a book or a pattern, or give --run; `fumikura query pages` lists them")
    engine = open_existing(settings)
    chosen = choose_pages(engine, pages, run_id=run_id, recipe=recipe)
    if not chosen:
        raise FumikuraError(f"run {run_id} has read no page; `fumikura status` says where it stands")

    from rich.progress import track

    from fumikura.core.page_drawing import Look, choose_paths, draw_pages  # loads Pillow

    paths = choose_paths(chosen, output)
    look = Look(size, has_mask, run_id, recipe, say=translated)
    drawing = draw_pages(engine, paths, look, max_pixels=settings.max_pixels, limits=settings.limits)
    failed = []
    console = console_for(sys.stderr)
    for one in track(
        drawing,
        description=translated("drawing"),
        total=len(chosen),
        console=console,
        transient=True,
        disable=len(chosen) == 1,
    ):
        if one.error is not None:
            failed.append(one)
        else:
            _print(one, as_json=as_json)
    _end(ctx, failed, len(chosen))


def _print(drawn: Drawn, *, as_json: bool) -> None:
    if as_json:
        print_json({"page": drawn.page, "path": str(drawn.path), "characters": drawn.n_characters})
    else:
        put(drawn.path)


def _end(ctx: click.Context, failed: list[Drawn], n_pages: int) -> None:
    """Say which pages were not drawn; where that is all there was, it is an error."""
    for one in failed:
        if n_pages == 1:
            raise FumikuraError(one.error or "")
        say(f"not drawn: {one.error}")
    if failed:
        say(f"{counted(len(failed), 'page')} of {n_pages:,} not drawn")
        ctx.exit(3)
