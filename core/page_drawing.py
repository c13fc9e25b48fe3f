"""This module draws pages of the database: it fetches the scans, and writes drawings where it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.scans import read_scan
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.core.limits import Limits
from fumikura.core.marked_pictures import add_pdf_page, format_of, is_our_picture, save_picture
from fumikura.core.overlay import draw, resized
from fumikura.core.own_files import check_place
from fumikura.core.store.connecting import Engine
from fumikura.core.store.lookup import PageDetails, get_page
from fumikura.core.store.rows import png_to_mask
from fumikura.core.store.tables import Status

#: Of a page's name in that of its drawing; file systems take 255.
_LONGEST_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Drawn:
    """This says where a page was drawn, or why it was not."""

    page: str
    path: Path
    n_characters: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A look says how pages are to be drawn.

    Attributes:
        size: pixels of the page's long side.
        has_mask: the mask is outlined.
        run_id: whose readings are drawn; None draws the newest.
        recipe: the beginning of its digest; None takes any.
        say: gives the words of the legend in the reader's language.
    """

    size: int = 2400
    has_mask: bool = True
    run_id: int | None = None
    recipe: str | None = None
    say: Callable[[str], str] = str


def choose_paths(pages: Sequence[tuple[int, str]], output: Path | None) -> dict[int, Path]:
    """Choose where each page is drawn, by its id, and see that nothing of others stands there.

    Args:
        pages: id and name.
        output: a file, or the folder for JPEGs named like the pages; several pages fit only into one
            file that is a PDF. None is this folder, and PNG.

    Raises:
        UsageError: a file cannot be written, or several pages would become one picture.
    """
    if output is not None and not output.is_dir() and (output.suffix or output.exists()):
        if format_of(output) != "PDF" and len(pages) > 1:
            raise UsageError(f"{output} holds one page and not {len(pages)}; name a folder or a .pdf with -o")
        paths = {page_id: output for page_id, _ in pages}
    else:
        # JPEG takes a sixth of the room and half of the time, which tells in a book.
        folder, ending = (Path(), ".png") if output is None else (output, ".jpg")
        names = [name for _, name in pages]
        paths = {
            page_id: folder / f"{_file_name(name, page_id, is_unique=names.count(name) == 1)}{ending}"
            for page_id, name in pages
        }
    for path in dict.fromkeys(paths.values()):
        if not path.parent.is_dir() and path.parent != output:
            raise UsageError(f"there is no folder {path.parent} to put the drawing in; make it first")
        try:
            check_place(path, is_our_picture)
        except UsageError as error:
            raise UsageError(f"{error}, or a folder for the drawing, with -o") from error
    return paths


def draw_pages(
    engine: Engine, paths: dict[int, Path], look: Look, *, max_pixels: int, limits: Limits
) -> Iterator[Drawn]:
    """Draw pages into these files, one after the other; those of the same file become pages of a PDF.

    A page that cannot be drawn is told with the reason, and the next one is begun.
    """
    begun: set[Path] = set()
    for page_id, path in paths.items():
        page = get_page(engine, page_id, run_id=look.run_id, recipe=look.recipe)
        try:
            picture = _draw_page(page, look, max_pixels=max_pixels, limits=limits)
        except FumikuraError as error:
            yield Drawn(page.name, path, error=str(error))
            continue
        path.parent.mkdir(exist_ok=True)
        if path in begun:
            add_pdf_page(picture, path)
        else:
            save_picture(picture, path, title=page.name)
            begun.add(path)
        yield Drawn(page.name, path, len(page.characters))


def _draw_page(page: PageDetails, look: Look, *, max_pixels: int, limits: Limits) -> Image.Image:
    if page.status is None:
        raise FumikuraError(f"page {page.name!r} has no reading of that run or recipe; name another one")
    if page.status != Status.DONE or page.mask_png is None:
        reason = f" ({page.error})" if page.error else ""
        raise FumikuraError(f"page {page.name!r} is {page.status}{reason}: there is no reading to draw")
    scan = decode(read_scan(page.sources, page.digest, limits=limits), long_side=None, max_pixels=max_pixels)
    mask = png_to_mask(page.mask_png) if look.has_mask else None
    small = resized(scan, look.size)
    return draw(small, mask=mask, characters=page.characters, leaves=page.leaves, say=look.say)


def _file_name(name: str, page_id: int, *, is_unique: bool) -> str:
    short = name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")
    return short if is_unique and short == name else f"{short}_{page_id}"
