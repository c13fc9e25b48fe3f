"""This module loads pages with truth, and cuts them into random patches for the segmenter."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from fumikura.core.archives.listing import list_pages
from fumikura.core.errors import CheckpointError, DataSetError, PageError, TruthError
from fumikura.core.page import PageImage, Truth
from fumikura.core.scoring.comparison import KnownPage, find_known_pages, load_page, misfit
from fumikura.core.scoring.truth import load_truth
from fumikura.core.settings import read_settings
from fumikura.core.training.datasets.ink import ink_of
from fumikura.core.training.datasets.targets import draw_targets
from fumikura.core.training.drawing.fonts import GlyphFont
from fumikura.core.training.drawing.synthetic import render_many
from fumikura.core.vocabulary import clean_text

#: Long side of a page that is learnt, in pixels. A page that is read has fewer (recognition/recipe.py).
LONG_SIDE = 1280
#: Pixels of paper that a box of CODH's leaves above its ink, and below; at the sides it leaves none.
PAPER = 1


@dataclass(frozen=True, slots=True)
class Variety:
    """These numbers say how far patches may differ from the page that they are cut from.

    Attributes:
        zoom: a page is enlarged or shrunk by up to this factor.
        stretch: width against height changes by up to this factor.
        has_other_strokes: some are written with a finer or a broader brush.
    """

    zoom: float = 1.6
    stretch: float = 1.15
    has_other_strokes: bool = True


VARIED = Variety()
#: Close to the page. Sizes are learnt best from it, when much has been seen before.
MILD = Variety(zoom=1.2, stretch=1.05, has_other_strokes=False)


@dataclass(frozen=True, slots=True)
class TrainingPage:
    """This is a page at working resolution with its boxes.

    Attributes:
        pixels: uint8 (3, H, W).
        boxes: (M, 4) as x, y, width, height in working pixels.
        labels: of the boxes.
        ignored: bool (H, W), of which nothing is learnt: unlabelled ink of a page whose truth is partial, and
            lines of which no characters are known.
        digest: of the page's image; empty where that is not known.
    """

    name: str
    book: str
    pixels: Tensor
    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
    ignored: NDArray[np.bool_]
    digest: str = ""


def load_training_pages(
    archives: Sequence[str],
    truth: Sequence[Path],
    partial_truth: Sequence[Path] = (),
    *,
    without_books: Container[str] = (),
) -> list[TrainingPage]:
    """Load all pages of the archives that have boxes, or lines, by name, without those of some books.

    Of a page whose truth is lines alone one learns where no text is.

    Raises:
        TruthError: no page of the archives has boxes, or two different pages have one name.
        DataSetError: a page cannot be read.
    """
    known, _ = find_known_pages(
        archives, truth=truth, partial_truth=partial_truth, limits=read_settings().limits
    )
    pages = [
        _load_page(page)
        for page in sorted(known, key=lambda page: page.reference.name)
        if (page.reference.is_stand_in or (page.truth is not None and _is_of_use(page.truth)))
        and page.reference.book not in without_books
    ]
    if not pages:
        raise TruthError(
            "no page of these archives has boxes or lines in the truth; name other ones, or leave fewer out"
        )
    return pages


def draw_training_pages(
    n_pages: int, folder: Path, texts: Sequence[str], fonts: Sequence[GlyphFont], *, seed: int
) -> list[TrainingPage]:
    """Draw pages of a book that never was into a folder, if they are not there yet, and load them.

    Raises:
        CheckpointError: other pages are there.
    """
    truth = folder / "coordinate.csv"
    if not truth.exists():
        render_many(n_pages, folder, [clean_text(text) for text in texts], fonts=fonts, seed=seed)
    truths, no_text = load_truth([truth]), Truth(boxes=())
    drawn = sorted(list_pages([str(folder)]).pages, key=lambda page: page.name)
    if len(drawn) != n_pages:
        raise CheckpointError(
            f"{folder} holds {len(drawn)} drawn pages and not {n_pages}; delete it, and they are drawn anew"
        )
    pages = [_load_page(KnownPage(page, truths.get(page.name, no_text), None)) for page in drawn]
    # Drawn boxes are tight.
    grown = np.array([0, -PAPER, 0, 2 * PAPER], np.float32)
    return [replace(page, boxes=page.boxes + grown) for page in pages]


def _load_page(page: KnownPage) -> TrainingPage:
    settings = read_settings()
    try:
        image = load_page(page, long_side=LONG_SIDE, max_pixels=settings.max_pixels, limits=settings.limits)
    except PageError as error:
        raise DataSetError(f"page {page.reference.name}: {error}") from error
    truth = page.truth or Truth()
    if problem := misfit(truth, image):
        raise DataSetError(f"{page.reference.name}: {problem}")
    labelled = truth.boxes or ()
    sides = [(item.box.x, item.box.y, item.box.width, item.box.height) for item in labelled]
    boxes = (np.array(sides, np.float32).reshape(-1, 4) * image.scale).astype(np.float32)
    return TrainingPage(
        name=page.reference.name,
        book=page.reference.book,
        pixels=torch.from_numpy(image.pixels).permute(2, 0, 1).contiguous(),
        boxes=boxes,
        labels=tuple(item.label for item in labelled),
        ignored=_ignored(truth, image, boxes),
        digest=page.reference.digest,
    )


def _is_of_use(truth: Truth) -> bool:
    return truth.boxes is not None or bool(truth.lines)


def _ignored(truth: Truth, image: PageImage, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find what is neither known to be a character nor known to be none: bool (H, W)."""
    if truth.is_partial:
        return _unlabelled_ink(image.pixels, boxes)
    ignored = np.zeros(image.pixels.shape[:2], bool)
    if truth.boxes is None:
        for line in (one.box for one in truth.lines or ()):
            left, top = round(line.x * image.scale), round(line.y * image.scale)
            right, bottom = (
                round((line.x + line.width) * image.scale),
                round((line.y + line.height) * image.scale),
            )
            ignored[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return ignored


class RandomPatches:
    """These patches come from random places of random pages, zoomed, stretched and recoloured.

    Each book is seen as often as every other, however many pages it has. Item n is always the
    same patch, so that a resumed training goes on where it was cut off.
    """

    def __init__(
        self, pages: Sequence[TrainingPage], *, side: int, seed: int, variety: Variety = VARIED
    ) -> None:
        self._books = [
            [page for page in pages if page.book == book] for book in sorted({page.book for page in pages})
        ]
        self._side = side
        self._seed = seed
        self._variety = variety
        self._recolour = v2.Compose(
            [
                v2.ColorJitter(brightness=0.35, contrast=0.35, saturation=0.4, hue=0.03),
                v2.RandomGrayscale(0.1),
                v2.RandomApply([v2.GaussianBlur(5, sigma=(0.3, 1.5))], 0.3),
                v2.ToDtype(torch.float32, scale=True),
                v2.RandomApply([v2.GaussianNoise(sigma=0.03)], 0.3),
            ]
        )

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Cut out a patch (3, P, P) of float, with targets (5, P, P) and weights (P, P) in {0, 1}."""
        rng = np.random.default_rng((self._seed, number))
        book = self._books[int(rng.integers(len(self._books)))]
        page = book[int(rng.integers(len(book)))]
        zoom = self._variety.zoom ** rng.uniform(-1, 1)
        zoom_x, zoom_y = zoom * self._variety.stretch ** rng.uniform(-0.5, 0.5, 2)
        top, left, height, width = self._window(page, rng, zoom_y, zoom_x)
        cut = page.pixels[None, :, top : top + height, left : left + width].float()
        ignored = torch.from_numpy(page.ignored[top : top + height, left : left + width])[None, None].float()
        side = (self._side, self._side)
        patch = functional.interpolate(cut, size=side, mode="bilinear", antialias=True)[0]
        if self._variety.has_other_strokes:
            patch = _with_other_strokes(patch, rng)
        weights = 1 - functional.interpolate(ignored, size=side)[0, 0]
        boxes = (page.boxes - (left, top, 0, 0)) * np.tile([self._side / width, self._side / height], 2)
        targets = torch.from_numpy(draw_targets(boxes.astype(np.float32), self._side))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            patch = self._recolour(patch.clamp(0, 255).to(torch.uint8))
        return patch, targets, weights

    def _window(
        self, page: TrainingPage, rng: np.random.Generator, zoom_y: float, zoom_x: float
    ) -> tuple[int, int, int, int]:
        page_height, page_width = page.pixels.shape[1:]
        height = min(page_height, round(self._side / zoom_y))
        width = min(page_width, round(self._side / zoom_x))
        top = int(rng.integers(page_height - height + 1))
        left = int(rng.integers(page_width - width + 1))
        return top, left, height, width


def _with_other_strokes(patch: Tensor, rng: np.random.Generator) -> Tensor:
    """Write a patch (3, P, P) anew with a finer or a broader brush, or leave it as it is.

    Printed books have broad strokes and few of them have boxes; thin running hands have none.
    """
    chance, amount = rng.random(), float(rng.uniform(0.3, 1))
    if chance < 0.5:
        width = 5 if chance < 0.1 else 3
        finer = functional.max_pool2d(patch, kernel_size=width, stride=1, padding=width // 2)
        return torch.lerp(patch, finer, amount)
    if chance < 0.6:
        return torch.lerp(patch, -functional.max_pool2d(-patch, kernel_size=3, stride=1, padding=1), amount)
    return patch


def _unlabelled_ink(pixels: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find dark strokes and what surrounds them, but for the boxes: bool (H, W)."""
    ignored = ndimage.binary_dilation(ink_of(pixels), iterations=12)
    for x, y, width, height in boxes.round().astype(int):
        ignored[max(0, y) : y + height, max(0, x) : x + width] = False
    return np.asarray(ignored, bool)
