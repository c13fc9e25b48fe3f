"""This module is what `import fumikura` offers: it reads images, and asks a database what was read.

What takes time to load (torch, SQLAlchemy, numpy, Pillow) is imported by the functions that need it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fumikura.core.errors import DeviceError, FumikuraError, PageError, UsageError
from fumikura.core.page import PageImage, Reading
from fumikura.core.settings import Settings, read_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from fumikura.core.recognition.reader import PageReader
    from fumikura.core.store.connecting import Engine
    from fumikura.core.store.lookup import PageSummary
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
    _pages: PageReader = field(repr=False)
    _settings: Settings = field(repr=False)


def load_reader(
    *,
    device: str = "auto",
    segmenter: str | Path | None = None,
    classifier: str | Path | None = None,
    context: str | Path | None = None,
    context_weight: float | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
) -> Reader:
    """Load the networks. What is None comes from its FUMIKURA_* variable, or is what ships.

    Args:
        device: "cpu", "cuda:0" and the like; "auto" is the first CUDA device if it works, else the CPU.
        segmenter: the weights file that finds characters.
        classifier: the weights file that names them.
        context: the weights file that knows which characters follow each other.
        context_weight: power of the context's probabilities against the classifier's, from 0; with 0,
            nothing is read in context.
        precision: "auto" is bf16 where the device is fast in it, else fp32.

    Raises:
        FumikuraError: weights are missing, damaged or of the wrong kind, the device does not work, or
            a value is none of those above.
    """
    from fumikura.core.recognition.reader import load_reader as load_page_reader

    if context_weight is not None and not (math.isfinite(context_weight) and context_weight >= 0):
        raise UsageError(f"context_weight={context_weight!r} must be a finite number from 0 up")
    if precision not in (None, "auto", "fp32", "bf16"):
        raise UsageError(f"precision={precision!r} must be 'auto', 'fp32' or 'bf16'")
    paths = {"segmenter_path": segmenter, "classifier_path": classifier, "context_path": context}
    settings = read_settings().overridden(
        **{name: Path(path) for name, path in paths.items() if path is not None},
        context_weight=context_weight,
        precision=precision,
    )
    device = _working_device(device)
    pages = load_page_reader(settings, device)
    return Reader(device, pages.recipe.digest, pages, settings)


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
        image: the path or the bytes of a JPEG, PNG or TIFF image, or an image that Pillow opened.
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
        FumikuraError: what `load_reader` raises, or a batch is to have no pages.
    """
    if pages_per_batch < 1:
        raise UsageError(f"pages_per_batch={pages_per_batch!r} must be 1 or more")
    reader = load_reader() if reader is None else reader
    waiting = iter(images)
    while batch := list(islice(waiting, pages_per_batch)):
        decoded = [_decoded(reader, image) for image in batch]
        pages = [page for page in decoded if isinstance(page, PageImage)]
        readings = iter(reader._pages.read(pages) if pages else ())
        for page in decoded:
            yield page if isinstance(page, PageError) else next(readings)


def _decoded(reader: Reader, image: str | Path | bytes | Image) -> PageImage | PageError:
    from fumikura.core.archives.images import decode

    try:
        return decode(
            Path(image).read_bytes() if isinstance(image, str | Path) else image,
            long_side=reader._pages.recipe.parameters.long_side,
            max_pixels=reader._settings.max_pixels,
        )
    except OSError as error:
        return PageError(f"{error.filename} cannot be read ({error.strerror}); correct path or permissions")
    except PageError as error:
        return PageError(f"{image}: {error}") if isinstance(image, str | Path) else error


@dataclass(frozen=True, slots=True)
class Database:
    """This is a database of readings, open for questions. `open_database` makes one.

    Leave it with `close`, or open it in a `with` statement. Of each page the newest done reading
    counts, unless a question names a run. A question raises a FumikuraError if the database does not
    answer, or knows nothing of the run or page.

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
        from fumikura.core.store.lookup import find_pages

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
        from fumikura.core.store.scores import load_reading

        found = get_page(self._engine, page, run_id=run_id)
        if found.reading_id is None or found.status != "done":
            state = "was not asked for" if found.status is None else f"is {found.status}"
            raise FumikuraError(f"page {found.name!r} has no such reading: it {state}; read it first")
        return load_reading(self._engine, found.reading_id)[0]


def open_database(place: str | Path | None = None) -> Database:
    """Open a database that `fumikura run` or `fumikura db upgrade` made.

    Args:
        place: the path of a SQLite file, or the URL of a PostgreSQL database; None is what
            FUMIKURA_DATABASE_URL names, or else ./fumikura.db.

    Raises:
        FumikuraError: there is no database, it does not answer, or it is of another version.
    """
    from fumikura.core.store.connecting import describe
    from fumikura.core.store.existing_database import open_existing

    settings = read_settings().overridden(database_url=None if place is None else str(place))
    engine = open_existing(settings)
    return Database(describe(engine.url), engine)
