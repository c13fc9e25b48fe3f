"""This module is what `import fumikura` offers: it reads images, and asks a database what was read.

What takes time to load (torch, SQLAlchemy, numpy, Pillow) is imported by the functions that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fumikura.core.errors import DeviceError, FumikuraError, PageError, UsageError
from fumikura.core.page import PageImage, Reading, ReadsPages
from fumikura.core.recognition.out_of_memory import OUT_OF_MEMORY, is_out_of_memory
from fumikura.core.settings import Settings, read_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from fumikura.core.store.connecting import Engine
    from fumikura.core.store.page_list import PageSummary
    from fumikura.core.store.search import Hit


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader holds the networks, loaded and ready to read. `load_reader` makes one.

    Attributes:
        device: where the networks work: "cpu", "cuda:0" and the like.
        recipe_digest: SHA-256 of weights and parameters; databases know a recipe by the same digest.
    """

    device: str
    recipe_digest: str
    _pages: ReadsPages = field(repr=False)
    _settings: Settings = field(repr=False)


def load_reader(
    *,
    device: str | None = None,
    segmenter: str | Path | None = None,
    classifier: str | Path | None = None,
    context: str | Path | None = None,
    context_weight: float | None = None,
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None = None,
) -> Reader:
    """Load the networks. What is None comes from its FUMIKURA_* variable, or is what ships.

    Args:
        device: "cpu", "cuda:0" and the like; "auto" is the first CUDA device if it works, else the CPU;
            None is the first of FUMIKURA_DEVICES.
        segmenter: the weights file that finds characters.
        classifier: the weights file that names them.
        context: the weights file that knows which characters follow each other.
        context_weight: power of the context's probabilities against the classifier's, from 0; with 0,
            nothing is read in context.
        precision: "auto" is bf16 where the device is fast in it, else fp32; fp16 is for GPUs.

    Raises:
        FumikuraError: weights are missing, damaged or of the wrong kind, the device does not work, or
            a value is none of those above.
    """
    from fumikura.core.recognition.reader import load_reader as load_page_reader

    paths = {"segmenter_path": segmenter, "classifier_path": classifier, "context_path": context}
    settings = read_settings().overridden(
        **{name: Path(path) for name, path in paths.items() if path is not None},
        context_weight=context_weight,
        precision=precision,
    )
    device = _working_device(device or _first_of(settings.devices))
    pages = load_page_reader(settings, device)
    return Reader(device, pages.recipe.digest, pages, settings)


def _first_of(devices: str) -> str:
    """Give the first device of a list as FUMIKURA_DEVICES holds it, such as cpu:2 (the CPU twice) or cuda."""
    first = devices.split(",")[0].strip()
    if first.startswith("cpu"):
        return "cpu"
    return "cuda:0" if first == "cuda" else first


def _working_device(name: str) -> str:
    from fumikura.core.recognition.models.device import try_device

    if name != "auto":
        try_device(name)
        return name
    try:
        try_device("cuda:0")
    except DeviceError:
        return "cpu"
    return "cuda:0"


def read_image(image: str | Path | bytes | Image, *, reader: Reader | None = None) -> Reading:
    """Read one page.

    Args:
        image: the path or the bytes of an image file, or an image that Pillow opened.
        reader: None loads one, which takes seconds: who reads several images makes a reader first.

    Raises:
        PageError: the image cannot be read, with the reason.
        FumikuraError: what `load_reader` raises.
    """
    (reading,) = read_images([image], reader=reader)
    if isinstance(reading, PageError):
        raise reading
    return reading


def read_images(
    images: Iterable[str | Path | bytes | Image], *, reader: Reader | None = None, pages_per_batch: int = 4
) -> Iterator[Reading | PageError]:
    """Read many pages, and give them in order. An image that cannot be read gives its error instead.

    Args:
        images: as for `read_image`; no more of them are held at once than share a batch.
        pages_per_batch: pages that the networks read together.

    Raises:
        FumikuraError: when the first is asked for: what `load_reader` raises, or a batch is to have no pages.
    """
    if pages_per_batch < 1:
        raise UsageError(f"pages_per_batch={pages_per_batch!r} must be 1 or more")
    reader = load_reader() if reader is None else reader
    waiting = iter(images)
    while batch := list(islice(waiting, pages_per_batch)):
        decoded = [_decoded(reader, image) for image in batch]
        pages = [page for page in decoded if isinstance(page, PageImage)]
        readings = iter(_read_group(reader, pages) if pages else ())
        for page in decoded:
            yield page if isinstance(page, PageError) else next(readings)


def _read_group(reader: Reader, pages: list[PageImage]) -> Sequence[Reading | PageError]:
    """Read a group of pages; where that fails, read them one by one."""
    from fumikura.core.recognition.suspicion import with_suspicions  # loads numpy and Pillow

    try:
        return list(map(with_suspicions, pages, reader._pages.read(pages)))
    except Exception as error:
        if len(pages) == 1:
            return [_page_error(error)]
    return [found for page in pages for found in _read_group(reader, [page])]


def _decoded(reader: Reader, image: str | Path | bytes | Image) -> PageImage | PageError:
    from fumikura.core.archives.images import decode

    try:
        return decode(
            Path(image).read_bytes() if isinstance(image, str | Path) else image,
            long_side=reader._pages.long_side,
            max_pixels=reader._settings.max_pixels,
        )
    except (OSError, ValueError) as error:  # no path holds a zero byte
        reason = getattr(error, "strerror", None) or error
        return PageError(f"{image!s} cannot be read ({reason}); correct path or permissions")
    except Exception as error:
        reason = _page_error(error)
        return PageError(f"{image}: {reason}") if isinstance(image, str | Path) else reason


def _page_error(error: Exception) -> PageError:
    """Give a page's error, which also tells of a lack of memory; raise any other."""
    if isinstance(error, PageError):
        return error
    if is_out_of_memory(error):
        return PageError(OUT_OF_MEMORY)
    raise error


@dataclass(frozen=True, slots=True)
class Database:
    """This is a database of readings, open for questions. `open_database` makes one.

    Leave it with `close`, or open it in a `with` statement. Of each page the newest done reading
    counts, or that of the run which a question names; `pages` lists those too that are not read yet. A
    question raises a FumikuraError if the database does not answer, or knows nothing of the run or page.

    Attributes:
        url: the URL of the database, without a password.
    """

    url: str
    _engine: Engine = field(repr=False)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def characters(
        self,
        text: str,
        *,
        book: str | None = None,
        run_id: int | None = None,
        min_confidence: float | None = None,
        limit: int = 50,
    ) -> list[Hit]:
        """Find where a character or a phrase was read, also across the end of a column.

        Args:
            text: 1 to 50 characters; old and new kanji are the same.
            min_confidence: of every character of the phrase, in [0, 1].
            limit: the most places to give, in the order of readings and positions.
        """
        from fumikura.core.store.search import find_characters

        _check(text=text, book=book, run_id=run_id, min_confidence=min_confidence, limit=limit)
        return find_characters(
            self._engine, text, book=book, run_id=run_id, min_confidence=min_confidence, limit=limit
        )

    def pages(
        self,
        *,
        book: str | None = None,
        text: str | None = None,
        run_id: int | None = None,
        min_dice: float | None = None,
        max_dice: float | None = None,
        limit: int = 50,
    ) -> list[PageSummary]:
        """List pages with their scores, in the order in which they were added.

        Args:
            text: a character or a phrase that was read on the page.
            min_dice: in [0, 1]; leaves out pages without truth, as `max_dice` does.
            limit: the most pages to give.
        """
        from fumikura.core.store.page_list import find_pages

        _check(text=text, book=book, run_id=run_id, min_dice=min_dice, max_dice=max_dice, limit=limit)
        return find_pages(
            self._engine,
            book=book,
            text=text,
            run_id=run_id,
            min_dice=min_dice,
            max_dice=max_dice,
            limit=limit,
        )

    def reading(self, page: str | int, *, run_id: int | None = None) -> Reading:
        """Give what was read on a page, as `read_image` does.

        Args:
            page: its name, the beginning of the image's SHA-256, or as a number its `page_id`.
        """
        from fumikura.core.store.lookup import get_page

        _check(page=page, run_id=run_id)
        found = get_page(self._engine, page, run_id=run_id)
        if (reading := found.reading) is None:
            state = "was not asked for" if found.status is None else f"is {found.status}"
            raise FumikuraError(f"page {found.name!r} has no such reading: it {state}; read it first")
        return reading


def _check(**given: str | float | None) -> None:
    """Raise a UsageError for a text, id, limit or share that means nothing to a database."""
    from fumikura.core.store.rows import storable

    for name, value in given.items():
        if isinstance(value, str):
            is_right, right = value == storable(value), "hold Unicode without zero bytes"
        elif name in ("page", "run_id", "limit"):
            is_right, right = value is None or 1 <= value < 2**31, "be from 1 to 2,147,483,647"
        else:
            is_right, right = value is None or 0 <= value <= 1, "lie in [0, 1]"
        if not is_right:
            raise UsageError(f"{name}={value!r} must {right}")


def open_database(place: str | Path | None = None) -> Database:
    """Open a database that `fumikura run` or `fumikura db upgrade` made.

    Args:
        place: the path of a SQLite file, or the URL of a PostgreSQL database; None is what
            FUMIKURA_DATABASE_URL names, or else ./fumikura.db.

    Raises:
        FumikuraError: there is no database, it does not answer, or is of another version or program.
    """
    from fumikura.core.store.connecting import describe
    from fumikura.core.store.existing_database import open_existing

    settings = read_settings().overridden(database_url=None if place is None else str(place))
    engine = open_existing(settings)
    return Database(describe(engine.url), engine)
