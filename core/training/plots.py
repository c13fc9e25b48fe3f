"""This module draws pictures of scores as PNG: confusions, reliability, and how trainings went.

Labels are Japanese whatever fonts the machine has, and what even our font lacks is named by its code point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fumikura.core.lettering import drawable, font_path
from fumikura.core.marked_pictures import is_our_picture, png_mark
from fumikura.core.own_files import IsOurs, in_our_folder, replacing
from fumikura.core.scoring.calibration import Bin
from fumikura.core.training.grid_search import Trial, best_first
from fumikura.core.training.run_folder import Row, read_metrics

RIGHT, WRONG, INK, PALE = "#00783c", "#c8321e", "#333333", "#d9d9d9"

#: Up to so many classes a matrix shows each count and each label; of more, the worst are cut out.
MOST_CLASSES = 30
_DPI = 130
#: Panels of the curves: heading, and what is drawn in each, as far as it was noted.
_CURVES = (
    ("loss", ("train_loss", "validation_loss")),
    ("score of the validation images", ("validation_accuracy", "validation_dice")),
)


@contextmanager
def picture(path: Path, *, width: float, height: float, is_ours: IsOurs = is_our_picture) -> Iterator[Figure]:
    """Give a figure to draw on, of so many inches, and save it then as PNG.

    Raises:
        UsageError: something stands at `path` that we did not write.
    """
    with mpl.rc_context(
        {
            "font.family": _font_family(),
            "text.color": INK,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    ):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, is_ours) as unfinished:
            figure.savefig(unfinished, dpi=_DPI, format="png", metadata=png_mark())


def shown(label: str) -> str:
    """Show a label as our font can draw it, or else as its code points."""
    text = drawable(label) or " ".join(f"U+{ord(char):04X}" for char in label)
    return text.replace("$", r"\$")  # or it would begin a formula


@lru_cache(maxsize=1)
def _font_family() -> str:
    font_manager.fontManager.addfont(font_path())
    return font_manager.FontProperties(fname=font_path()).get_name()


def draw_confusion(path: Path, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Draw the confusion matrix; of many classes also its worst part, large enough to be read.

    There look-alikes are put side by side, so that they show as blocks.

    Args:
        confusion: (C, C + 1) images, by what they are and by what they were read as, the last
            column for labels that none of them has.
        labels: (C,).
    """
    if len(labels) <= MOST_CLASSES:
        side = 3.5 + 0.32 * len(labels)
        with picture(path, width=side, height=side + 0.3) as figure:
            _draw_counts(figure.subplots(), confusion, labels, range(len(labels)))
            figure.suptitle(_summary(confusion), fontsize=13)
        return
    order, worst = _look_alikes_together(confusion), set(_worst_classes(confusion))
    with picture(path, width=20, height=10.8) as figure:
        whole, *parts = figure.subplots(1, 2 if worst else 1, squeeze=False)[0]
        _draw_errors(whole, confusion, order)
        for part in parts:
            _draw_counts(part, confusion, labels, [number for number in order if number in worst])
            part.set_title(f"the {len(worst)} classes of the most frequent errors", fontsize=13)
        figure.suptitle(_summary(confusion), fontsize=15)


def _summary(confusion: NDArray[np.int64]) -> str:
    right, n_images = int(np.trace(confusion)), int(confusion.sum())
    return f"{n_images:,} images of {len(confusion):,} classes, {right / n_images:.2%} rightly read"


def _errors(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the confusions among the classes (C, C), without what is right."""
    errors = confusion[:, : len(confusion)].copy()
    np.fill_diagonal(errors, 0)
    return errors


def _look_alikes_together(confusion: NDArray[np.int64]) -> list[int]:
    """Order the class numbers by a clustering of how often two are taken for each other."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    errors = _errors(confusion) / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    if not errors.any():
        return list(range(len(errors)))
    distances = 1 / (errors + errors.T + 1e-3)
    np.fill_diagonal(distances, 0)
    return [int(number) for number in leaves_list(linkage(squareform(distances), "average"))]


def _worst_classes(confusion: NDArray[np.int64]) -> list[int]:
    """Choose the classes of the most frequent confusions, then of the other errors; as many as fit."""
    errors = _errors(confusion)
    pairs = np.argwhere(errors)
    pairs = pairs[np.argsort(-errors[tuple(pairs.T)], kind="stable")]
    strays = np.flatnonzero(confusion[:, -1])
    strays = strays[np.argsort(-confusion[strays, -1], kind="stable")]
    return list(dict.fromkeys([*pairs.ravel().tolist(), *strays.tolist()]))[:MOST_CLASSES]


def _draw_counts(
    axes: Axes, confusion: NDArray[np.int64], labels: Sequence[str], classes: Sequence[int]
) -> None:
    """Draw some classes, with a last column for all labels that have none of their own here."""
    counts = confusion[np.ix_(classes, classes)]
    elsewhere = confusion[classes].sum(axis=1) - counts.sum(axis=1)
    if elsewhere.any():
        counts = np.column_stack([counts, elsewhere])
    shares = counts / np.maximum(confusion[classes].sum(axis=1, keepdims=True), 1)
    is_right = np.eye(*counts.shape) > 0
    axes.imshow(np.where(is_right, shares, np.nan), cmap="Greens", vmin=0, vmax=1.3)
    # Of errors a small share matters: the scale ends where few are.
    most = max(float(shares[~is_right].max(initial=0)), 0.02)
    axes.imshow(np.where(is_right | (counts == 0), np.nan, shares), cmap="Reds", vmin=0, vmax=1.3 * most)
    for y, x in np.argwhere(counts):
        is_dark = shares[y, x] > (0.75 if is_right[y, x] else 0.7 * most)
        colour = "white" if is_dark else INK
        axes.text(x, y, f"{counts[y, x]}", ha="center", va="center", fontsize=8, color=colour)
    names = [shown(labels[number]) for number in classes]
    columns = [*names, "other"] if counts.shape[1] > len(classes) else names
    axes.set_yticks(range(len(names)), names, fontsize=13)
    axes.set_xticks(range(len(columns)), columns, fontsize=13)
    if len(columns) > len(names):
        axes.get_xticklabels()[-1].set(rotation=90, fontsize=10)
    _name_axes(axes)


def _draw_errors(axes: Axes, confusion: NDArray[np.int64], order: Sequence[int]) -> None:
    """Draw all classes: a point for each confusion, the larger the more frequent, and no label."""
    errors = _errors(confusion)[np.ix_(order, order)]
    y, x = np.nonzero(errors)
    n_classes = len(confusion)
    axes.plot([0, n_classes], [0, n_classes], color=RIGHT, linewidth=1, alpha=0.5)
    axes.scatter(x, y, s=8 + 6 * errors[y, x], color=WRONG, alpha=0.5, linewidths=0)
    axes.set(xlim=(0, n_classes), ylim=(n_classes, 0), aspect="equal", xticks=[], yticks=[])
    axes.set_title("every class, look-alikes side by side: a point is a confusion", fontsize=13)
    _name_axes(axes)


def _name_axes(axes: Axes) -> None:
    axes.set_xlabel("read as", fontsize=13)
    axes.set_ylabel("is", fontsize=13)


def draw_reliability(path: Path, bins: Sequence[Bin], *, error: float) -> None:
    """Draw how often a label is right, by how sure it was said to be; below it how many images that is.

    Args:
        error: the expected calibration error.
    """
    held = [one for one in bins if one.confidence is not None and one.accuracy is not None]
    middles = [(one.low + one.high) / 2 for one in held]
    with picture(path, width=6.5, height=7.5) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        above.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="as often right as said")
        above.bar(middles, [one.accuracy for one in held], width=0.09, color="#9ecae1", label="rightly read")
        above.plot(
            [one.confidence for one in held],
            [one.accuracy for one in held],
            "o-",
            color=WRONG,
            label="the same, at their mean confidence",
        )
        above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of right labels")
        above.legend(loc="upper left")
        above.set_title(f"{_surest(bins)}\nexpected calibration error {error:.3f}", fontsize=12)
        below.bar(middles, [one.characters for one in held], width=0.09, color=PALE)
        below.set(yscale="log", ylabel="images", xlabel="confidence")
        below.yaxis.set_major_formatter("{x:,.0f}")


def _surest(bins: Sequence[Bin]) -> str:
    surest = bins[-1]
    if surest.accuracy is None:
        return f"no image was read with a confidence of {surest.low:.1f} or more"
    return (
        f"of {surest.characters:,} images read with a confidence of {surest.low:.1f} or more,"
        f" {surest.accuracy:.1%} are right"
    )


def draw_curves(folder: Path) -> None:
    """Draw the losses and scores of a training by epoch into its folder, as curves.png."""
    rows = read_metrics(folder)
    with picture(folder / "curves.png", width=10, height=4, is_ours=in_our_folder) as figure:
        for axes, (heading, names) in zip(figure.subplots(1, 2), _CURVES, strict=True):
            for name in names:
                _draw_epochs(axes, rows, name, label=name.replace("_", " "))
            axes.set_title(heading)
            if axes.lines:
                axes.legend()


def _draw_epochs(
    axes: Axes, rows: Sequence[Row], name: str, *, label: str | None = None, colour: str | None = None
) -> None:
    """Draw a metric by epoch, a point for each that is a number."""
    points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
    if points:
        axes.plot(*np.array(points, float).T, ".-", label=label, color=colour)
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)


def draw_trials(path: Path, trials: Sequence[Trial], *, metric: str) -> None:
    """Draw loss and score by epoch, and the score of the weights that each trial kept, the best on top.

    A trial has one colour everywhere.

    Args:
        trials: in the order of the grid, which is that of the colours.
        metric: the score, a name in the rows; higher is better.
    """
    # Darkened, since names are set in these colours too.
    shades = 0.8 * mpl.colormaps["turbo"](np.linspace(0.08, 0.92, len(trials)))[:, :3]
    colours = {trial.name: to_hex(shade) for trial, shade in zip(trials, shades, strict=True)}
    with picture(path, width=17, height=max(4.5, 1.5 + 0.34 * len(trials))) as figure:
        loss, score, kept = figure.subplots(1, 3)
        for axes, name in ((loss, "train_loss"), (score, metric)):
            for trial in trials:
                _draw_epochs(axes, trial.rows, name, colour=colours[trial.name])
            axes.set_title(name.replace("_", " "))
        loss.set_yscale("log")
        _draw_kept(kept, best_first(trials, metric), colours, metric)


def _draw_kept(axes: Axes, trials: Sequence[Trial], colours: dict[str, str], metric: str) -> None:
    scores = [trial.kept.get(metric) for trial in trials]
    lowest = min((score for score in scores if score is not None), default=0.0)
    for place, (trial, score) in enumerate(zip(trials, scores, strict=True)):
        said = "diverged" if trial.has_diverged or score is None else f"{score:.4f}"
        x = lowest if score is None else score
        axes.plot(x, place, "o", color=colours[trial.name], markersize=9)
        axes.annotate(said, (x, place), xytext=(9, 0), textcoords="offset points", va="center", fontsize=10)
    names = [trial.name.replace("_", " ").replace("=", " ").replace(",", ", ") for trial in trials]
    axes.set_yticks(range(len(trials)), names, fontsize=11)
    for label, trial in zip(axes.get_yticklabels(), trials, strict=True):
        label.set_color(colours[trial.name])
    axes.set(ylim=(len(trials) - 0.5, -0.5), title=f"{metric.replace('_', ' ')} of the weights that are kept")
    axes.margins(x=0.25)
    axes.grid(alpha=0.3, axis="x", color=INK)
