"""This module draws sheets of character images with labels, for a person to judge a classifier by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from fumikura.core.training.plots import PALE, RIGHT, WRONG, picture, shown

#: Images in a row of confusions: misread ones, and rightly read ones of either label.
N_MISREAD, N_RIGHT = 6, 3
_COLUMNS = 10
_GAP = 0.4

Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """This is a label that is often read as another; images are (M, S, S) or (M, S, S, 3).

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
    """Draw images ten in a row, with label and what it was read as: green if that is right, else red."""
    n_right = sum(label == answer for label, answer in zip(true, read, strict=True))
    title = f"what it is → what was read: {n_right} of {len(images)} right"
    n_rows = -(-len(images) // _COLUMNS)
    with _sheet(path, title, width=1.1 * _COLUMNS, height=1.4 * n_rows) as axes:
        for number, (image, label, answer) in enumerate(zip(images, true, read, strict=True)):
            row, column = divmod(number, _COLUMNS)
            x, y = 1.1 * column, 1.4 * row + 0.35
            _show(axes, image, x, y)
            colour = RIGHT if label == answer else WRONG
            answered = f"{shown(label)} → {shown(answer)}"
            axes.text(x + 0.5, y - 0.05, answered, fontsize=13, color=colour, ha="center", va="bottom")


def draw_pairs(path: Path, pairs: Sequence[ConfusedPair]) -> None:
    """Draw a row for each pair: misread images, then rightly read ones of both labels, to compare."""
    title = "the most frequent confusions: label → what it was read as" if pairs else "no image was misread"
    width = 2.3 + 1.08 * (N_MISREAD + 2 * N_RIGHT) + 2 * _GAP
    with _sheet(path, title, width=width, height=1.35 * max(len(pairs), 1)) as axes:
        for row, pair in enumerate(pairs):
            _show_pair(axes, pair, 1.35 * row + 0.3)


def _show_pair(axes: Axes, pair: ConfusedPair, y: float) -> None:
    true, read = shown(pair.true), shown(pair.read)
    axes.text(0, y + 0.45, f"{true} → {read}", fontsize=18, va="center", color=WRONG)
    share = f"{pair.n_misread:,} of {pair.n_images:,} ({pair.n_misread / pair.n_images:.1%})"
    axes.text(0, y + 0.85, share, fontsize=9, va="center")
    kinds = (
        (N_MISREAD, pair.misread, f"{true} read as {read}", WRONG),
        (N_RIGHT, pair.true_examples, f"{true} rightly read", RIGHT),
        (N_RIGHT, pair.read_examples, f"{read} rightly read", RIGHT),
    )
    x = 2.3
    for n_images, images, title, colour in kinds:
        if len(images):
            axes.text(x, y - 0.05, title, fontsize=10, color=colour, va="bottom")
        for number, image in enumerate(images[:n_images]):
            _show(axes, image, x + 1.08 * number, y)
        x += 1.08 * n_images + _GAP


@contextmanager
def _sheet(path: Path, title: str, *, width: float, height: float) -> Iterator[Axes]:
    """Give axes in inches from the top left: one for all, since a hundred take half a minute."""
    with picture(path, width=width, height=height + 0.5) as figure:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_title(title, fontsize=13)
        yield axes
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")


def _show(axes: Axes, image: NDArray[np.uint8], x: float, y: float) -> None:
    """Show an image, one inch wide, with a thin frame."""
    place = (x, x + 1, y + 1, y)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=place)
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=PALE))
