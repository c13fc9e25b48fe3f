"""This module writes prepared data sets: whole folders or none, with a manifest."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray
from PIL import Image

from fumikura.core.errors import DataSetError, PageError
from fumikura.core.page import PageImage, PageReference
from fumikura.core.scoring.comparison import KnownPage, load_page
from fumikura.core.settings import read_settings
from fumikura.core.training.datasets.splits import SPLITS, Split

Item = TypeVar("Item")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Track(Protocol):
    """A track gives the items one by one, while a person is shown how far it is."""

    def __call__(self, items: Sequence[Item]) -> Iterable[Item]: ...


@dataclass(frozen=True, slots=True)
class NewDataSet:
    """This says of a new data set where it goes, what tests it, and what it is made from.

    Attributes:
        out: its folder.
        test_books: names of books, or of fonts.
        sources: digests of truth files, or of fonts and texts, for the manifest.
        track: shows a person how far it is.
    """

    out: Path
    test_books: frozenset[str]
    sources: Sequence[Mapping[str, str]]
    track: Track


@contextmanager
def new_data_set(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `out` at the end; if anything goes wrong, nothing stays.

    Raises:
        DataSetError: there is something at `out` already, or the disk is full.
    """
    out = out.resolve()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataSetError(f"there is something at {out} already; delete it, or name another folder")
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        folder.mkdir(parents=True)
        yield folder
        if out.exists():
            out.rmdir()
        folder.rename(out)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DataSetError(
            f"the disk is full ({error.strerror}): {out} was not made; make room and begin again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Write uint8 (H, W) or (H, W, 3), or bool (H, W) in one bit a pixel."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    path.write_bytes(data.getvalue())


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def digests(paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return name and SHA-256 of each file."""
    return [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]


def write_pages(
    pages: Sequence[KnownPage],
    new: NewDataSet,
    header: Mapping[str, Any],
    *,
    write: Callable[[KnownPage, Path, Split], Counter[str]],
    summarise: Callable[[Counter[str], Split], dict[str, Any]],
) -> dict[str, Any]:
    """Make a data set of pages, each in the split that its book belongs to.

    Args:
        header: what the manifest begins with.
        write: what a page gives, written into the folder of its split, and counted.
        summarise: the summed counts of a split, as the manifest shows them.

    Returns:
        The manifest.
    """
    counts = {split: Counter[str]() for split in SPLITS}
    listed: dict[Split, list[PageReference]] = {split: [] for split in SPLITS}
    with new_data_set(new.out) as folder:
        for page in new.track(sorted(pages, key=lambda page: page.reference.name)):
            split = SPLITS[page.reference.book in new.test_books]
            counts[split] += write(page, folder / split, split)
            listed[split].append(page.reference)
        manifest = {**header, "sources": list(new.sources)}
        for split, references in listed.items():
            books = sorted({page.book for page in references})
            names = {page.name: page.digest for page in references}
            sizes = {"n_books": len(books), "n_pages": len(names)} | summarise(counts[split], split)
            manifest[split] = sizes | {"books": books, "pages": names}
        write_manifest(folder, manifest)
    return manifest


def load_original(page: KnownPage) -> PageImage:
    """Load a page at the size of its scan.

    Raises:
        DataSetError: it cannot be read, or its truth does not fit onto it.
    """
    name, settings = page.reference.name, read_settings()
    try:
        image = load_page(page, long_side=None, max_pixels=settings.max_pixels, limits=settings.limits)
    except PageError as error:
        raise DataSetError(f"page {name}: {error}") from error
    truth = page.truth
    if truth is not None and truth.mask_png is not None:
        with Image.open(io.BytesIO(truth.mask_png)) as mask:
            width, height = mask.size
        if (width, height) != (image.width, image.height):
            raise DataSetError(
                f"page {name} has {image.width} × {image.height} pixels and its mask {width} × {height};"
                " give the mask the size of the page"
            )
    for box in (item.box for item in (truth and truth.boxes) or ()):
        if min(box.x, box.y) < 0 or box.x + box.width > image.width or box.y + box.height > image.height:
            raise DataSetError(
                f"page {name} has {image.width} × {image.height} pixels, but a box of {box.width} ×"
                f" {box.height} at x={box.x}, y={box.y}; correct it, or is the truth that of another scan?"
            )
    return image
