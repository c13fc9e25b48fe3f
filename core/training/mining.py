"""This module finds labelled boxes on pages whose text is known, but not where its characters stand."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fumikura.core.errors import PageError
from fumikura.core.folding import fold
from fumikura.core.own_files import replacing
from fumikura.core.page import Box, LabelledBox, PageImage
from fumikura.core.recognition import crops, patches
from fumikura.core.recognition.models.inference import Classifier, Segmenter
from fumikura.core.recognition.order import reading_order
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.scoring.comparison import KnownPage, load_page, misfit
from fumikura.core.settings import Settings
from fumikura.core.training.alignment import Floats, Found, pair
from fumikura.core.training.datasets.ink import drawn_to_ink, ink_of
from fumikura.core.vocabulary import Vocabulary, clean_text

#: Peaks so low are looked at, since the text will say which of them are characters.
PEAK_THRESHOLD = 0.08
#: Probability of a label that the classifier does not know, or thinks impossible.
UNKNOWN = 2e-3

_HEADER = ("Unicode", "Image", "X", "Y", "Width", "Height", "Aligned by")


@dataclass(frozen=True, slots=True)
class MinedPage:
    """These boxes are what alignment gave for a page.

    Attributes:
        boxes: of truth and mined ones, in no order.
        n_text: characters of the text.
        n_mined: boxes that the text gave, those beside truth included.
        n_judged: those of them in a box of truth.
        n_wrong: those of these whose label is another.
    """

    name: str
    boxes: tuple[LabelledBox, ...]
    n_text: int
    n_mined: int
    n_judged: int
    n_wrong: int


@dataclass(frozen=True, slots=True)
class MinedBox:
    """This is a box with the label that the text gives it, in pixels of the original page."""

    labelled: LabelledBox
    confidence: float


class Miner:
    """A miner aligns texts with pages by what two networks see there."""

    def __init__(self, segmenter: Segmenter, classifier: Classifier, parameters: Parameters) -> None:
        self._segmenter = segmenter
        self._classifier = classifier
        self.parameters = parameters
        self._classes = _classes_by_label(classifier.vocabulary)

    def mine(self, page: PageImage, text: str, *, min_confidence: float) -> list[MinedBox]:
        """Find the boxes whose label is surer than `min_confidence` (0.5 at least), drawn to their ink.

        Labels are folded: texts write old kanji where box labels write new ones.
        """
        pixels = torch.from_numpy(page.pixels).permute(2, 0, 1)
        boxes, scores = self._find(pixels)
        labels = fold(clean_text(text))
        if not len(boxes) or not labels:
            return []
        every = torch.cat([boxes, _join(boxes)])
        seen = self._log_probabilities(pixels, every, labels)
        certainty = scores.double().clamp(0.02, 0.98).numpy()
        probabilities = np.concatenate(
            pair(Found(np.log(certainty), np.log1p(-certainty), seen[: len(boxes)], seen[len(boxes) :]))
        )
        # A segmenter that learns its own boxes as it sees them only grows surer of its errors.
        drawn = drawn_to_ink(every.numpy(), ink_of(page.pixels))
        return [
            MinedBox(LabelledBox(_box(drawn[n], page.scale), labels[t]), float(probabilities[n, t]))
            for n, t in np.argwhere(probabilities >= min_confidence)
        ]

    def _find(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Find boxes (N, 4) in reading order, working pixels, and their peaks (N,)."""
        [maps] = patches.map_pages(
            [pixels],
            self._segmenter.maps,
            side=self.parameters.patch_side,
            halo=self.parameters.halo,
            stride=self._segmenter.config.stride,
        )
        maps = maps.cpu()  # where the pixels are, and where the pairing is done
        boxes = crops.find_boxes(maps, peak_threshold=PEAK_THRESHOLD)
        whole = [Box(*(round(side) for side in box)) for box in boxes.tolist()]
        boxes = boxes[[index for index, _ in reading_order(whole)]]
        middle = (boxes[:, :2] + boxes[:, 2:] / 2).long()
        return boxes, maps[1, middle[:, 1], middle[:, 0]].float()

    def _log_probabilities(self, pixels: Tensor, boxes: Tensor, labels: str) -> Floats:
        """Return (N, T): the log-probability that box n shows character t of the text."""
        cut = crops.cut_crops([pixels], [boxes], side=self._classifier.config.crop_side)
        by_class = self._classifier.look(cut, crops.box_shapes(boxes))[0].cpu()
        probabilities = {
            label: by_class[:, self._classes[label]].sum(dim=1).numpy() if label in self._classes else 0.0
            for label in set(labels)
        }
        table = np.full((len(boxes), len(labels)), UNKNOWN)
        for t, label in enumerate(labels):
            table[:, t] += probabilities[label]
        logarithms: Floats = np.log(table)
        return logarithms


def mine_page(miner: Miner, page: KnownPage, settings: Settings, *, min_confidence: float) -> MinedPage:
    """Align one page; boxes that people drew stay, and mined ones yield to them.

    Raises:
        PageError: the page cannot be read, is too large, or its truth is that of another scan.
    """
    long_side = miner.parameters.long_side
    image = load_page(page, long_side=long_side, max_pixels=settings.max_pixels, limits=settings.limits)
    text, truth = page.text or "", page.truth
    if problem := misfit(truth, image):
        raise PageError(problem)
    mined = miner.mine(image, text, min_confidence=min_confidence)
    known = (truth.boxes if truth is not None else None) or ()
    n_judged, n_wrong = count_noise(mined, known)
    kept = [item.labelled for item in without_known(mined, known)]
    is_complete = truth is not None and truth.boxes is not None and not truth.is_partial
    return MinedPage(
        name=page.reference.name,
        boxes=() if is_complete else (*known, *kept),
        n_text=len(clean_text(text)),
        n_mined=len(mined),
        n_judged=n_judged,
        n_wrong=n_wrong,
    )


def write_boxes(path: Path, pages: Iterable[MinedPage]) -> None:
    """Write the boxes as CODH's coordinate CSV, all or nothing.

    Raises:
        UsageError: something stands at `path` that this did not write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, is_mined) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_HEADER)
        for page in pages:
            for item in page.boxes:
                box = item.box
                place = (box.x, box.y, box.width, box.height)
                rows.writerow((f"U+{ord(item.label):04X}", page.name, *place, "fumikura"))


def is_mined(path: Path) -> bool:
    """Tell whether a file begins as `write_boxes` lets it begin."""
    header = ",".join(_HEADER).encode()
    with path.open("rb") as file:
        return file.read(len(header)) == header


def without_known(mined: Sequence[MinedBox], known: Sequence[LabelledBox]) -> list[MinedBox]:
    """Drop the mined boxes whose centre lies in a box that people drew."""
    return [item for item in mined if _at(item.labelled.box, known) is None]


def count_noise(mined: Sequence[MinedBox], known: Sequence[LabelledBox]) -> tuple[int, int]:
    """Count the mined boxes with their centre in a known box, and those of them with another label."""
    labels = [(item.labelled.label, _at(item.labelled.box, known)) for item in mined]
    judged = [(label, truth) for label, truth in labels if truth is not None]
    return len(judged), sum(label != fold(truth.label) for label, truth in judged)


def _at(box: Box, known: Sequence[LabelledBox]) -> LabelledBox | None:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    for item in known:
        if item.box.x <= x < item.box.x + item.box.width and item.box.y <= y < item.box.y + item.box.height:
            return item
    return None


def _classes_by_label(vocabulary: Vocabulary) -> Mapping[str, list[int]]:
    """List the numbers of the classes with each label, once it is folded."""
    classes: dict[str, list[int]] = {}
    for number, label in enumerate(vocabulary.labels):
        classes.setdefault(fold(label), []).append(number)
    return classes


def _join(boxes: Tensor) -> Tensor:
    """Enclose each box (N, 4) and the next one: (N - 1, 4)."""
    corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
    top_left = torch.minimum(corners[:-1, :2], corners[1:, :2])
    return torch.cat([top_left, torch.maximum(corners[:-1, 2:], corners[1:, 2:]) - top_left], dim=1)


def _box(box: NDArray[np.float32], scale: float) -> Box:
    x, y, width, height = (box / scale).round().astype(int).tolist()
    return Box(max(0, x), max(0, y), max(1, width), max(1, height))
