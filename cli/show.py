"""fumikura show: draw what was read over a page."""

from __future__ import annotations

from pathlib import Path

import click

from fumikura.cli import options
from fumikura.cli.output import print_json, put
from fumikura.core.archives.scans import read_scan
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.lookup import get_page
from fumikura.core.store.tables import Status


@click.command()
@click.argument("page")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The drawing. [default: PAGE.png in this folder]",
)
@click.option(
    "--size",
    type=click.IntRange(100, 20_000),
    default=2400,
    metavar="PIXELS",
    help="Long side of the drawing.",
)
@options.run_id
@options.recipe
@options.settings("database", "reach")
@options.as_json
def command(
    settings: Settings,
    page: str,
    output: Path | None,
    size: int,
    run_id: int | None,
    recipe: str | None,
    as_json: bool,
) -> None:
    """Draw what was read over a page, as PNG.

    PAGE is a name as `fumikura query pages` lists it, an id, or the beginning of the image's
    SHA-256. The mask is tinted; a label stands beside each box, red where the reading is
    unsure; a thin line follows the reading order through each column.

    \b
    Example:
      fumikura show 200010454_00016_1
      fumikura show 200010454_00016_1 -o drawing.png
    """
    found = get_page(open_existing(settings), page, run_id=run_id, recipe=recipe)
    if found.status is None:
        raise FumikuraError(f"page {found.name!r} has no reading of that run or recipe; name another one")
    if found.status != Status.DONE or found.mask_png is None:
        reason = f" ({found.error})" if found.error else ""
        raise FumikuraError(f"page {found.name!r} is {found.status}{reason}: there is no reading to draw")
    path = output or Path(f"{found.name}.png")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to put the drawing in; make it first")
    image = read_scan(found.sources, found.digest, limits=settings.limits)
    if path.exists() and path.read_bytes() == image:
        raise UsageError(f"{path} is the scan itself, which is never overwritten; name another file with -o")

    from fumikura.core.archives.images import decode
    from fumikura.core.overlay import draw, resized  # loads numpy and Pillow, which --help does not need
    from fumikura.core.store.rows import png_to_mask

    pixels = resized(decode(image, long_side=None, max_pixels=settings.max_pixels), size)
    draw(pixels, mask=png_to_mask(found.mask_png), characters=found.characters).save(path, "PNG")
    if as_json:
        print_json({"page": found.name, "path": str(path), "characters": len(found.characters)})
    else:
        put(path)
