"""What all prepared data sets share: books kept apart, a folder that is whole or not there, a manifest."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray
from PIL import Image

from core.comparison import KnownPage, load_page
from core.errors import DataSetError, PageError
from core.page import PageImage
from core.settings import Settings

Item = TypeVar("Item")

SPLITS = ("train", "test")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Track(Protocol):
    """The items one by one, while a person is shown how far it is."""

    def __call__(self, items: Sequence[Item]) -> Iterable[Item]: ...


def choose_test_books(
    books: Iterable[str], named: Iterable[str], *, share: float, seed: int
) -> frozenset[str]:
    """The books to test on: those named, else a share of all, by the hash of seed and name.

    The same books and seed give the same choice on every machine.

    Raises:
        DataSetError: no book would be left for one of the splits, or a named one is not among them.
    """
    known, wanted = sorted(set(books)), set(named)
    shown = ", ".join(known)
    if unknown := sorted(wanted - set(known)):
        raise DataSetError(f"there is no book {unknown[0]!r} to test on; the books are {shown}")
    if len(known) < 2:
        raise DataSetError(
            f"all is of one book, {shown}; training and test need different books:"
            " add another, and say which is for testing with --test-book"
        )
    if wanted == set(known):
        raise DataSetError(f"--test-book names every book there is ({shown}); leave one to learn from")
    if wanted:
        return frozenset(wanted)
    n_test = min(max(1, round(share * len(known))), len(known) - 1)
    known.sort(key=lambda book: hashlib.sha256(f"{seed} {book}".encode()).digest())
    return frozenset(known[:n_test])


@contextmanager
def new_data_set(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` at the end; if anything goes wrong, nothing stays.

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
    """Uint8 (H, W) or (H, W, 3), or bool (H, W) in one bit a pixel."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    path.write_bytes(data.getvalue())


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def load_original(page: KnownPage) -> PageImage:
    """A page at the size of its scan.

    Raises:
        DataSetError: it cannot be read, or its truth does not fit onto it.
    """
    name = page.reference.name
    try:
        image = load_page(page, long_side=None, max_pixels=Settings().max_pixels)
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


def by_split(pages: Sequence[KnownPage], test_books: frozenset[str]) -> list[tuple[str, KnownPage]]:
    """Each page and the split its book belongs to, in the order of their names."""
    ordered = sorted(pages, key=lambda page: (page.reference.name, page.reference.digest))
    return [(SPLITS[page.reference.book in test_books], page) for page in ordered]
