"""The reader recognises whole pages, from pixels to characters in reading order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.profiler import record_function

from fumikura.core.page import Box, Character, PageImage, Reading, View
from fumikura.core.recognition import crops, patches
from fumikura.core.recognition.context import ContextModel, in_context
from fumikura.core.recognition.models.checkpoint import load_context
from fumikura.core.recognition.models.inference import Classifier, Fill, Segmenter
from fumikura.core.recognition.naming import name_boxes
from fumikura.core.recognition.recipe import Recipe, find_context, find_weights, recipe_of
from fumikura.core.recognition.roles import Place, arrange
from fumikura.core.recognition.second_looks import rescaled_view, surest, turned_views
from fumikura.core.recognition.strips import joined_boxes, joined_masks, strips_of
from fumikura.core.recognition.views import box_on_page, leaf_of, leaves_of, mask_on_page, sides_of, with_view
from fumikura.core.scoring.seal_areas import in_seals
from fumikura.core.settings import Settings

#: The likeliest labels of a crop with their probabilities, best first.
Labels = tuple[tuple[str, float], ...]
#: Thin strokes below a seal look like seal alone; the classifier is surer of these than this.
DOUBTFUL_SEAL = 0.6


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
        """Read some pages; return their readings in the same order.

        A page that may lie on its side or head, be a negative, or be written much smaller or larger than
        what the networks know, is looked at again, and the surest of its readings counts.
        """
        clock = _Clock(len(pages))
        with clock.time("look"):
            pages = [with_view(page, self.recipe.parameters) for page in pages]
        readings = self._read_views(pages, clock)
        if self.recipe.parameters.is_as_is:
            return readings
        for views_of in (rescaled_view, turned_views):
            again = [
                (number, replace(pages[number], view=view))
                for number, reading in enumerate(readings)
                for view in views_of(pages[number], reading, self.recipe.parameters)
            ]
            for number, page in again:  # rare, and each view may be larger than a page
                (reading,) = self._read_views([page], clock)
                if surest(readings[number], reading) is reading:
                    readings[number], pages[number] = reading, page
        return readings

    def _read_views(self, pages: Sequence[PageImage], clock: _Clock) -> list[Reading]:
        """Read the views of some pages."""
        views = [view for page in pages if (view := page.view) is not None]
        strips = [strips_of(view.pixels) for view in views]
        with clock.time("segment"):
            # From here to the labels everything stays on the device.
            pixels = [self._to_device(strip.pixels) for page_strips in strips for strip in page_strips]
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
            found = _by_strip(boxes, labels)
            characters = [
                _in_order(*_without_seals(*joined_boxes(page_strips, found), view), view, page)
                for page_strips, view, page in zip(strips, views, pages, strict=True)
            ]
        if self._context is not None and (used := parameters.context) is not None:
            with clock.time("context"):
                characters = [in_context(one, self._context, weight=used.weight) for one in characters]
        # Only now: a mask that is fetched keeps the device waiting for whoever fetches it.
        masks = iter([(one[0] > self._segmenter.config.mask_threshold).cpu().numpy() for one in maps])
        return [
            Reading(
                mask_on_page(joined_masks(page_strips, masks), view, page),
                page_characters,
                page.width,
                page.height,
                clock.timings_s,
                leaves=leaves_of(view, page),
            )
            for page, view, page_strips, page_characters in zip(pages, views, strips, characters, strict=True)
        ]

    def count_batches(self) -> dict[str, Fill]:
        """Count from now on what goes into the batches of "patches" and of "crops"."""
        fills = {"patches": Fill(), "crops": Fill()}
        self._segmenter.batches.fill, self._classifier.batches.fill = fills.values()
        return fills

    def _to_device(self, view: NDArray[np.uint8]) -> Tensor:
        """Copy a view (H, W, 3) to the device as uint8 (3, H, W)."""
        pixels = torch.from_numpy(view)
        if self._device.startswith("cuda"):
            pixels = pixels.pin_memory()  # only such memory is copied while the program goes on
        return pixels.to(self._device, non_blocking=True).permute(2, 0, 1)

    def _label(self, likely: Tensor) -> list[Labels]:
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


def _by_strip(boxes: Sequence[Tensor], labels: Sequence[Labels]) -> Iterator[tuple[Tensor, list[Labels]]]:
    """Give the boxes (M, 4) of each strip, fetched from the device, with their labels."""
    rest = iter(labels)
    for strip_boxes in torch.split(torch.cat(list(boxes)).cpu(), [len(one) for one in boxes]):
        yield strip_boxes, list(islice(rest, len(strip_boxes)))


def _without_seals(boxes: Tensor, labels: list[Labels], view: View) -> tuple[Tensor, list[Labels]]:
    """Leave out what is nothing but a part of a red seal: in doubt, and without black ink."""
    doubtful = [number for number, likely in enumerate(labels) if likely[0][1] < DOUBTFUL_SEAL]
    whole = [
        Box(int(x), int(y), int(width) + 1, int(height) + 1)
        for x, y, width, height in boxes[doubtful].tolist()
    ]
    found = in_seals(whole, view.pixels, is_quick=True)
    seals = {number for number, is_seal in zip(doubtful, found, strict=True) if is_seal}
    if not seals:
        return boxes, labels
    kept = [number for number in range(len(labels)) if number not in seals]
    return boxes[kept], [labels[number] for number in kept]


def _in_order(boxes: Tensor, labels: Sequence[Labels], view: View, page: PageImage) -> tuple[Character, ...]:
    """Put what was found on a view in reading order, leaf by leaf, and back onto the page."""
    turned = _on_turned_page(boxes, view, page)
    leaves = [leaf_of(box, view) for box in turned]
    placed: list[tuple[int, Place, int]] = []  # index of the box, its place on its leaf, column on the page
    n_columns = 0
    for leaf in sorted(set(leaves)):
        mine = [number for number, its_leaf in enumerate(leaves) if its_leaf == leaf]
        left, right = sides_of(view, leaf)
        places = arrange([turned[number] for number in mine], left=left, right=right)
        placed += [
            (mine[one.index], replace(one, base=None if one.base is None else mine[one.base]), n_columns)
            for one in places
        ]
        n_columns += 1 + max(one.column for one in places)
    position_of = {index: position for position, (index, _, _) in enumerate(placed)}
    return tuple(
        Character(
            box_on_page(turned[index], view, page),
            *labels[index][0],
            alternatives=labels[index][1:],
            column_number=first_column + place.column,
            leaf=leaves[index],
            role=place.role,
            base=None if place.base is None else position_of[place.base],
        )
        for index, place, first_column in placed
    )


def _on_turned_page(boxes: Tensor, view: View, page: PageImage) -> list[Box]:
    """Turn boxes (M, 4) of a view into boxes in whole pixels of the turned page, inside it."""
    corner = torch.tensor([view.left, view.top] * 2, dtype=boxes.dtype)
    corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1) / view.scale + corner
    sides = [page.width, page.height] if view.quarter_turns % 2 == 0 else [page.height, page.width]
    limits = torch.tensor(sides * 2, dtype=corners.dtype)
    whole = torch.minimum(corners.round().clamp(min=0), limits).int().tolist()
    return [Box(left, top, max(1, right - left), max(1, bottom - top)) for left, top, right, bottom in whole]


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
        seconds = (time.perf_counter() - started) / self._n_pages
        self.timings_s[stage] = self.timings_s.get(stage, 0.0) + seconds
