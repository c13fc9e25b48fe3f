"""The trainings of a grid side by side, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from fumikura.core.training.grid import Trial, best_first
from fumikura.core.training.plots import INK, picture


def draw_trials(path: Path, trials: Sequence[Trial], *, metric: str) -> None:
    """Loss and score by epoch, and the score of the weights that each trial kept, the best on top.

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
                points = [(row["epoch"], row[name]) for row in trial.rows if row.get(name) is not None]
                axes.plot(*np.array(points, float).reshape(-1, 2).T, ".-", color=colours[trial.name])
            axes.set(xlabel="epoch", title=name.replace("_", " "))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
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
