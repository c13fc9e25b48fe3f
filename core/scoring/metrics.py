"""This module compares a reading with its truth: it counts for each page, and pools counts into ratios."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.folding import fold
from fumikura.core.page import Box, Reading, Scores, Truth
from fumikura.core.scoring.line_counts import count_lines
from fumikura.core.scoring.texts import compare_texts


def score(reading: Reading, truth: Truth) -> Scores:
    """Count what `Scores` holds. A mask image is the truth for pixels; without one, the filled boxes are."""
    scores = Scores()
    shape = (reading.mask.shape[0], reading.mask.shape[1])
    actual = truth_mask(truth, shape=shape, width=reading.width, height=reading.height)
    if actual is not None and not truth.is_partial:
        scores = count_pixels(reading.mask, actual)
    scores = replace(scores, **_text_counts(reading, truth), **_line_counts(reading, truth))
    if truth.boxes is None:
        return scores
    pairs = match([item.box for item in reading.characters], [item.box for item in truth.boxes])
    labels = [(reading.characters[found].label, truth.boxes[true].label) for found, true in pairs]
    return replace(
        scores,
        n_truth=len(truth.boxes),
        n_found=None if truth.is_partial else len(reading.characters),
        n_matched=len(pairs),
        n_right=sum(fold(found) == fold(true) for found, true in labels),
        n_right_as_written=sum(found == true for found, true in labels),
    )


def _text_counts(reading: Reading, truth: Truth) -> dict[str, int]:
    if truth.text is None or truth.is_partial:
        return {}
    counts = compare_texts(reading.text, truth.text)
    if counts is None:  # a page without text: all that was read is too much
        n_found = len(reading.characters)
        return {"n_text_truth": 0, "n_text_found": n_found, "n_text_common": 0, "text_distance": n_found}
    return {
        "n_text_truth": counts.n_truth,
        "n_text_found": counts.n_found,
        "n_text_common": counts.n_common,
        "text_distance": counts.distance,
    }


def _line_counts(reading: Reading, truth: Truth) -> dict[str, int]:
    if truth.lines is None:
        return {}
    found = [item.box for item in reading.characters]
    counts = count_lines(found, [item.box for item in truth.lines])
    known = {"n_lines": counts.n_lines, "n_lines_found": counts.n_lines_found}
    return known if truth.is_partial else {**known, "n_in_lines": counts.n_in_lines, "n_reported": len(found)}


def truth_mask(truth: Truth, *, shape: tuple[int, int], width: int, height: int) -> NDArray[np.bool_] | None:
    """Draw the truth as a mask (H, W): the mask image, else the union of the filled boxes.

    Args:
        shape: (H, W) of the mask, working resolution.
        width: of the original, upright page, in whose pixels boxes are.
        height: likewise.
    """
    if truth.mask_png is not None:
        return _resize_mask(truth.mask_png, shape)
    if truth.boxes is None:
        return None
    mask = np.zeros(shape, bool)
    down, right = shape[0] / height, shape[1] / width
    for box in (item.box for item in truth.boxes):
        top, bottom = _span(box.y, box.height, down)
        left, end = _span(box.x, box.width, right)
        mask[top:bottom, left:end] = True
    return mask


def _span(start: int, length: int, scale: float) -> tuple[int, int]:
    """Give start and end in working pixels, never empty and never counted from the end of the page."""
    first = round(start * scale)
    last = max(round((start + length) * scale), first + 1)
    return max(first, 0), max(last, 0)


def _resize_mask(mask_png: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    with Image.open(io.BytesIO(mask_png), formats=("PNG",)) as image:
        small = image.convert("L").resize((shape[1], shape[0]), Image.Resampling.BOX)
    return np.asarray(small) >= 128


def count_pixels(found: NDArray[np.bool_], actual: NDArray[np.bool_]) -> Scores:
    """Count the pixels of two masks of one shape, by what is found and what is true."""
    tp = int(np.count_nonzero(found & actual))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    return Scores(pixel_tp=tp, pixel_fp=fp, pixel_fn=fn, pixel_tn=actual.size - tp - fp - fn)


def match(found: Sequence[Box], truth: Sequence[Box]) -> list[tuple[int, int]]:
    """Pair found boxes with truth boxes that hold their centre, each box in one pair (found, truth) at most.

    As many pairs as there can be, the nearest tried first. Simply taking the nearest in turn
    can leave a box alone whose only partner was taken by one that had another choice, where
    boxes overlap or nest. Labels have no say, or the classifier would change what counts as found.
    """
    if not found or not truth:
        return []
    candidates = _candidates(found, truth)
    truth_of: dict[int, int] = {}
    found_of: dict[int, int] = {}
    for start in range(len(found)):
        for true, mine in _augmenting_path(start, candidates, found_of, truth_of):
            truth_of[mine], found_of[true] = true, mine
    return sorted(truth_of.items())


def _candidates(found: Sequence[Box], truth: Sequence[Box]) -> list[list[int]]:
    """List for each found box the truth boxes around its centre, nearest first."""
    centres = np.array([box.centre for box in found])  # (M, 2) as (y, x)
    corners = np.array([(box.y, box.x) for box in truth])
    sizes = np.array([(box.height, box.width) for box in truth])
    offsets = centres[:, None] - corners  # (M, T, 2)
    rows, columns = np.nonzero(((offsets >= 0) & (offsets < sizes)).all(axis=2))
    distances = np.abs(offsets[rows, columns] - sizes[columns] / 2).sum(axis=1)
    candidates: list[list[int]] = [[] for _ in found]
    for pair in np.lexsort((distances, rows)):
        candidates[rows[pair]].append(int(columns[pair]))
    return candidates


def _augmenting_path(
    start: int, candidates: list[list[int]], found_of: dict[int, int], truth_of: dict[int, int]
) -> list[tuple[int, int]]:
    """Find the shortest chain of new (truth, found) pairs that gives `start` a partner; empty if none does.

    Breadth first, so that a box which is free is taken before any other is moved on.
    """
    reached_by: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        mine = waiting.popleft()
        for true in candidates[mine]:
            if true in reached_by:
                continue
            reached_by[true] = mine
            if true not in found_of:
                return _trace_back(true, reached_by, truth_of)
            waiting.append(found_of[true])
    return []


def _trace_back(end: int, reached_by: dict[int, int], truth_of: dict[int, int]) -> list[tuple[int, int]]:
    path: list[tuple[int, int]] = []
    true: int | None = end
    while true is not None:
        mine = reached_by[true]
        path.append((true, mine))
        true = truth_of.get(mine)
    return path


def pool(scores: Iterable[Scores]) -> dict[str, float | None] | None:
    """Compute the ratios of several pages together, from their summed counts; None without any scores.

    A ratio is None where no page supports it. Partial truth supports only
    detection_recall, character_accuracy and character_accuracy_as_written.
    """
    pages = list(scores)
    if not pages:
        return None
    boxed = [page for page in pages if page.n_truth is not None]
    complete = [page for page in boxed if page.n_found is not None]
    n_boxes = _total(complete, "n_found") + _total(complete, "n_truth")
    n_matched = _total(boxed, "n_matched")
    return {
        **_pool_pixels(pages),
        "detection_precision": ratio(_total(complete, "n_matched"), _total(complete, "n_found")),
        "detection_recall": ratio(n_matched, _total(boxed, "n_truth")),
        "detection_f1": ratio(2 * _total(complete, "n_matched"), n_boxes),
        "character_f1": ratio(2 * _total(complete, "n_right"), n_boxes),
        "character_accuracy": ratio(_total(boxed, "n_right"), n_matched),
        "character_f1_as_written": ratio(2 * _total(complete, "n_right_as_written"), n_boxes),
        "character_accuracy_as_written": ratio(_total(boxed, "n_right_as_written"), n_matched),
        **_pool_texts(pages),
        **_pool_lines(pages),
    }


def _pool_texts(pages: Sequence[Scores]) -> dict[str, float | None]:
    n_truth, n_found = _total(pages, "n_text_truth"), _total(pages, "n_text_found")
    return {
        "text_error_rate": ratio(_total(pages, "text_distance"), n_truth),
        "text_f1": ratio(2 * _total(pages, "n_text_common"), n_truth + n_found),
    }


def _pool_lines(pages: Sequence[Scores]) -> dict[str, float | None]:
    return {
        "line_recall": ratio(_total(pages, "n_lines_found"), _total(pages, "n_lines")),
        "line_precision": ratio(_total(pages, "n_in_lines"), _total(pages, "n_reported")),
    }


def _pool_pixels(pages: Sequence[Scores]) -> dict[str, float | None]:
    tp, fp, fn, tn = (_total(pages, name) for name in ("pixel_tp", "pixel_fp", "pixel_fn", "pixel_tn"))
    dice = ratio(2 * tp, 2 * tp + fp + fn)
    return {
        "dice": dice,
        "iou": ratio(tp, tp + fp + fn),
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": dice,  # of pixels, the same number under its other name
    }


def _total(pages: Sequence[Scores], name: str) -> int:
    return sum(getattr(page, name) or 0 for page in pages)


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return part / whole if whole else None
