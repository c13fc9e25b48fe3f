"""Pictures of character images with their labels, for a person to judge a classifier by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from core.training.plots import PALE, RIGHT, WRONG, picture, shown

#: Images in a row of confusions: misread ones, and rightly read ones of either label.
N_MISREAD, N_RIGHT = 6, 3
_COLUMNS = 10

Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """A label that is often read as another; images are (M, S, S) or (M, S, S, 3).

    Attributes:
        n_misread: how often, of `n_images` with the label.
        misread: some of them.
        true_examples: rightly read images of the label itself.
        read_examples: rightly read images of the label it was read as.
    """

    true: str
    read: str
    n_misread: int
    n_images: int
    misread: Images
    true_examples: Images
    read_examples: Images


def draw_samples(path: Path, images: Images, *, true: Sequence[str], read: Sequence[str]) -> None:
    """Images ten in a row, each with its label and what it was read as: green if that is right, else red."""
    n_rows = -(-len(images) // _COLUMNS)
    with picture(path, width=1.1 * _COLUMNS, height=1.45 * n_rows + 0.6) as figure:
        grid = figure.subplots(n_rows, _COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, image, label, answer in zip(grid.flat, images, true, read, strict=False):
            _show(axes, image)
            colour = RIGHT if label == answer else WRONG
            axes.set_title(f"{shown(label)} → {shown(answer)}", fontsize=13, color=colour, pad=3)
        n_right = sum(label == answer for label, answer in zip(true, read, strict=True))
        figure.suptitle(f"what it is → what was read: {n_right} of {len(images)} right", fontsize=13)


def draw_confused_pairs(path: Path, pairs: Sequence[ConfusedPair]) -> None:
    """A row for each pair: misread images, then rightly read ones of both labels, to compare."""
    gap = [0.3]
    widths = [2.2, *[1] * N_MISREAD, *gap, *[1] * N_RIGHT, *gap, *[1] * N_RIGHT]
    n_rows = max(len(pairs), 1)
    with picture(path, width=sum(widths), height=1.25 * n_rows + 0.6) as figure:
        grid = figure.subplots(n_rows, len(widths), squeeze=False, width_ratios=widths)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, pair in zip(grid, pairs, strict=False):
            _show_pair(row, pair)
        title = "the most frequent confusions: label → what it was read as"
        figure.suptitle(title if pairs else "no image was misread", fontsize=14)


def _show_pair(row: NDArray[np.object_], pair: ConfusedPair) -> None:
    true, read = shown(pair.true), shown(pair.read)
    row[0].text(0, 0.6, f"{true} → {read}", fontsize=18, va="center", color=WRONG)
    share = f"{pair.n_misread:,} of {pair.n_images:,} ({pair.n_misread / pair.n_images:.1%})"
    row[0].text(0, 0.28, share, fontsize=9, va="center")
    kinds = (
        (1, pair.misread[:N_MISREAD], f"{true} read as {read}", WRONG),
        (2 + N_MISREAD, pair.true_examples[:N_RIGHT], f"{true} rightly read", RIGHT),
        (3 + N_MISREAD + N_RIGHT, pair.read_examples[:N_RIGHT], f"{read} rightly read", RIGHT),
    )
    for first, images, title, colour in kinds:
        for axes, image in zip(row[first:], images, strict=False):
            _show(axes, image)
        if len(images):
            row[first].set_title(title, fontsize=10, loc="left", color=colour, pad=3)


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=PALE)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
