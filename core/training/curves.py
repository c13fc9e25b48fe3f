"""How a training went, as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

#: Panels: heading, and what is drawn in each, as far as it was noted.
_PANELS = (
    ("loss", ("train_loss", "validation_loss")),
    ("score of the validation images", ("validation_accuracy", "validation_dice")),
)


def draw_curves(metrics_path: Path, png_path: Path) -> None:
    """Draw losses and scores by epoch, from the lines of metrics.jsonl."""
    rows = [json.loads(line) for line in metrics_path.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (heading, names) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for name in names:
            points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
        axes.set(title=heading, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.savefig(png_path, dpi=120)
