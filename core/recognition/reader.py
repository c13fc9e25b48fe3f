"""The reader recognises whole pages, from pixels to characters in reading order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.profiler import record_function

from fumikura.core.page import Box, Character, PageImage, Reading
from fumikura.core.recognition import crops, patches
from fumikura.core.recognition.context import ContextModel, in_context
from fumikura.core.recognition.models.checkpoint import load_context
from fumikura.core.recognition.models.inference import Classifier, Fill, Segmenter
from fumikura.core.recognition.naming import name_boxes
from fumikura.core.recognition.order import reading_order
from fumikura.core.recognition.recipe import Recipe, find_context, find_weights, recipe_of
from fumikura.core.settings import Settings


class PageReader:
    """A page reader reads several pages at a time, so that their patches and crops share batches."""

    def __init__(
        self,
        segmenter: Segmenter,
        classifier: Classifier,
        recipe: Recipe,
        *,
        device: str,
        context: ContextModel | None = None,
    ) -> None:
        self.recipe = recipe
        self._context = context
        self._device = device
        self._segmenter = segmenter
        self._classifier = classifier

    @property
    def long_side(self) -> int:
        """Give the pixels that the long side of the pages has to have."""
        return self.recipe.parameters.long_side

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        """Read some pages; return their readings in the same order."""
        clock = _Clock(len(pages))
        with clock.time("segment"):
            # From here to the labels everything stays on the device.
            pixels = [self._to_device(page) for page in pages]
            parameters = self.recipe.parameters
            maps = patches.map_pages(  # (4, H, W) each
                pixels,
                self._segmenter.maps,
                side=parameters.patch_side,
                halo=parameters.halo,
                stride=self._segmenter.config.stride,
            )
        with clock.time("crop"):
            threshold = self._segmenter.config.peak_threshold
            boxes = [crops.find_boxes(page_maps, peak_threshold=threshold) for page_maps in maps]
        with clock.time("classify"):
            likely, boxes = name_boxes(self._classifier, pixels, boxes)
            labels = self._label(torch.cat(likely))
        with clock.time("order"):
            characters = []
            on_host = torch.split(torch.cat(boxes).cpu(), [len(page_boxes) for page_boxes in boxes])
            for page, page_boxes in zip(pages, on_host, strict=True):
                characters.append(_in_order(_on_page(page_boxes, page), labels[: len(page_boxes)]))
                labels = labels[len(page_boxes) :]
        if self._context is not None and (used := self.recipe.parameters.context) is not None:
            with clock.time("context"):
                characters = [in_context(one, self._context, weight=used.weight) for one in characters]
        # Only now: a mask that is fetched keeps the device waiting for whoever fetches it.
        masks = [(page_maps[0] > self._segmenter.config.mask_threshold).cpu().numpy() for page_maps in maps]
        return [
            Reading(mask, page_characters, page.width, page.height, clock.timings_s)
            for page, mask, page_characters in zip(pages, masks, characters, strict=True)
        ]

    def count_batches(self) -> dict[str, Fill]:
        """Count from now on what goes into the batches of "patches" and of "crops"."""
        fills = {"patches": Fill(), "crops": Fill()}
        self._segmenter.batches.fill, self._classifier.batches.fill = fills.values()
        return fills

    def _to_device(self, page: PageImage) -> Tensor:
        """Copy a page to the device as uint8 (3, H, W)."""
        pixels = torch.from_numpy(page.pixels)
        if self._device.startswith("cuda"):
            pixels = pixels.pin_memory()  # only such memory is copied while the program goes on
        return pixels.to(self._device, non_blocking=True).permute(2, 0, 1)

    def _label(self, likely: Tensor) -> list[tuple[tuple[str, float], ...]]:
        """Name the likeliest labels of each crop (M, C) with their probabilities, best first."""
        names = self._classifier.vocabulary.labels
        probabilities, numbers = likely.topk(min(self.recipe.parameters.n_labels, len(names)), dim=1)
        return [
            tuple((names[number], probability) for number, probability in zip(row_numbers, row, strict=True))
            for row_numbers, row in zip(numbers.cpu().tolist(), probabilities.cpu().tolist(), strict=True)
        ]


def load_reader(settings: Settings, device: str) -> PageReader:
    """Load a reader with the weights that the settings name, on a device such as "cpu" or "cuda:0".

    Raises:
        CheckpointError: weights are missing, damaged or of the wrong kind.
    """
    context_path = find_context(settings)
    return PageReader(
        *load_networks(settings, device),
        recipe_of(settings),
        device=device,
        context=None if context_path is None else ContextModel(load_context(context_path)),
    )


def load_networks(settings: Settings, device: str) -> tuple[Segmenter, Classifier]:
    """Load the two networks whose weights the settings name.

    Raises:
        CheckpointError: weights are missing, damaged or of the wrong kind.
    """
    segmenter = Segmenter(
        find_weights("segmenter", settings.segmenter_path),
        device=device,
        precision=settings.precision,
        patches_per_batch=settings.patches_per_batch or (8 if device.startswith("cuda") else 1),
    )
    classifier = Classifier(
        find_weights("classifier", settings.classifier_path),
        device=device,
        precision=settings.precision,
        crops_per_batch=settings.crops_per_batch,
    )
    return segmenter, classifier


def _on_page(boxes: Tensor, page: PageImage) -> list[Box]:
    """Turn boxes (M, 4) of the working page into boxes in whole pixels of the original, inside it."""
    corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1) / page.scale
    limits = torch.tensor([page.width, page.height] * 2, dtype=corners.dtype)
    whole = torch.minimum(corners.round().clamp(min=0), limits).int().tolist()
    return [Box(left, top, max(1, right - left), max(1, bottom - top)) for left, top, right, bottom in whole]


def _in_order(boxes: Sequence[Box], labels: Sequence[tuple[tuple[str, float], ...]]) -> tuple[Character, ...]:
    return tuple(
        Character(boxes[index], *labels[index][0], alternatives=labels[index][1:], column_number=column)
        for index, column in reading_order(boxes)
    )


class _Clock:
    """A clock shares the seconds of each stage evenly among the pages of a batch."""

    def __init__(self, n_pages: int) -> None:
        self.timings_s: dict[str, float] = {}
        self._n_pages = n_pages

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        with record_function(stage):  # a name in `fumikura bench --trace`
            yield
        self.timings_s[stage] = (time.perf_counter() - started) / self._n_pages
