"""This module reads pages of archives and compares them with what people say of them.

Reads directly: no queue, no database, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError, TruthError
from fumikura.core.limits import DEFAULT_LIMITS, Limits
from fumikura.core.page import Character, PageImage, PageReference, ReadsPages, Truth
from fumikura.core.scoring.evaluation import PageMeasures, measure, worth
from fumikura.core.scoring.texts import load_texts
from fumikura.core.scoring.truth import load_truths, match_pages
from fumikura.core.settings import Settings


@dataclass(frozen=True, slots=True)
class KnownPage:
    """This is a page of which people say something: truth, text, or both."""

    reference: PageReference
    truth: Truth | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """This says what became of one page.

    Attributes:
        measures: None if the page could not be read.
        error: why not.
        is_learnt: the weights have learnt from this page, so that its measures say nothing of others.
    """

    known: KnownPage
    characters: tuple[Character, ...] = ()
    measures: PageMeasures | None = None
    error: str | None = None
    is_learnt: bool = False


def find_known_pages(
    archives: Sequence[str],
    *,
    truth: Sequence[Path] = (),
    partial_truth: Sequence[Path] = (),
    texts: Sequence[Path] = (),
    book: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[list[KnownPage], list[str]]:
    """Find the distinct pages of which truth or text is known, in the order of the archives.

    What stands for an archive that cannot be read is among them: nobody knows what is known of its pages.

    Returns:
        These, and the names of the other pages.

    Raises:
        ArchiveError: an archive is missing, empty or unreadable.
        TruthError: a truth file or text cannot be understood, or none has the name of a page.
    """
    truths, by_name = load_truths(truth, partial_truth), load_texts(texts)
    pages = list_pages(archives, book=book, limits=limits).pages
    truth_of, text_of = match_pages(pages, truths), match_pages(pages, by_name)
    known, unknown = [], []
    for digest, page in {page.digest: page for page in pages}.items():
        if digest in truth_of or digest in text_of or page.is_stand_in:
            known.append(_known_page(page, truth_of.get(digest), text_of.get(digest)))
        else:
            unknown.append(page.name)
    if not truth_of and not text_of:
        raise TruthError(
            "no page of these archives has a name that truth or text names;"
            " compare the file names with those in the truth, and with those of texts (PAGE.txt)"
        )
    return known, unknown


def _known_page(page: PageReference, truth: Truth | None, text: str | None) -> KnownPage:
    """Put together what is known of a page; where no text is named, that of its truth counts."""
    if text is None and truth is not None and not truth.is_partial:
        text = truth.text
    return KnownPage(page, truth, text)


def compare_pages(
    reader: ReadsPages, pages: Sequence[KnownPage], settings: Settings, *, min_text: int = 1
) -> Iterator[ComparedPage]:
    """Read and measure each page, in order: as many at a time as share their batches.

    The next pages are decoded meanwhile.
    """
    n, long_side = settings.pages_per_batch, reader.long_side
    load = partial(load_page, long_side=long_side, max_pixels=settings.max_pixels, limits=settings.limits)
    groups = [pages[start : start + n] for start in range(0, len(pages), n)]
    with ThreadPoolExecutor(2, "decode") as threads:
        waiting = [threads.submit(load, page) for page in pages[:n]]
        for group, following in zip(groups, [*groups[1:], ()], strict=True):
            decoded = [_result(decoding) for decoding in waiting]
            waiting = [threads.submit(load, page) for page in following]
            yield from _compare_group(reader, group, decoded, min_text)


def worst_first(pages: Sequence[ComparedPage]) -> list[ComparedPage]:
    """Sort the pages that were read by their `worth`."""
    rated = [
        (worth(page.measures), page.known.reference.name, number)
        for number, page in enumerate(pages)
        if page.measures is not None
    ]
    return [pages[number] for _, _, number in sorted(rated)]


def load_page(
    page: KnownPage, *, long_side: int | None, max_pixels: int, limits: Limits = DEFAULT_LIMITS
) -> PageImage:
    """Load a page's pixels, its long side resized to `long_side`; None leaves them as they are.

    Raises:
        PageError: the page is gone or is no image.
    """
    at = page.reference
    data = read_member(at.archive, at.member, digest=at.digest, limits=limits)
    return decode(data, long_side=long_side, max_pixels=max_pixels)


def misfit(truth: Truth | None, image: PageImage) -> str | None:
    """Say how truth shows that it was made for another scan: a box whose middle lies beyond the page."""
    told = () if truth is None else (*(truth.boxes or ()), *(truth.lines or ()))
    for box in (item.box for item in told):
        y, x = box.centre
        if not (0 <= x < image.width and 0 <= y < image.height):
            return (
                f"the page has {image.width} × {image.height} pixels, but a box of {box.width} × {box.height}"
                f" lies at x={box.x}, y={box.y}; correct it, or is the truth that of another scan?"
            )
    return None


def _compare_group(
    reader: ReadsPages, pages: Sequence[KnownPage], decoded: Sequence[PageImage | PageError], min_text: int
) -> Iterator[ComparedPage]:
    images = [image for image in decoded if isinstance(image, PageImage)]
    readings = iter(reader.read(images) if images else [])
    for page, image in zip(pages, decoded, strict=True):
        if isinstance(image, PageError):
            yield ComparedPage(page, error=str(image))
            continue
        reading = next(readings)
        if problem := misfit(page.truth, image):
            yield ComparedPage(page, error=problem)
            continue
        measures = measure(reading, image, truth=page.truth, text=page.text, min_text=min_text)
        yield ComparedPage(page, reading.characters, measures)


def _result(decoding: Future[PageImage]) -> PageImage | PageError:
    try:
        return decoding.result()
    except PageError as error:
        return error
