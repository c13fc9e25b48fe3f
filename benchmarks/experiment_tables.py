"""The tables of docs/experiments.md, as Markdown, from what benchmarks/experiments.py left.

    python -m benchmarks.experiment_tables OUT

Rows that are not there yet are left out. Figures are per cent; of several seeds the mean, and the spread
from the lowest to the highest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.experiments import (
    CLASSES,
    PAGE_STEPS,
    PAGES_A_STEP,
    PATCH_STEPS,
    PATCHES_A_STEP,
    SEEDS,
    SEGMENTERS,
)

MASK_SCORES = ("accuracy", "precision", "recall", "f1", "dice", "iou")
LABEL_SCORES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
#: What the first report gives for the same rows, in the same order.
REPORTED_MASKS = {
    "encoder-decoder-150": (23.60, 14.83, 98.60, 25.78, 25.78, 14.79),
    "encoder-decoder-20": (65.01, 26.09, 83.71, 39.78, 39.78, 24.83),
    "unet-120": (68.28, 28.85, 92.57, 43.99, 43.99, 28.19),
    "unet-20": (89.00, 57.14, 72.95, 64.09, 64.09, 47.15),
}
#: Accuracy, precision, recall and F1.
REPORTED_LABELS = {
    50: (85.24, 87.15, 74.14, 78.97),
    200: (74.84, 78.59, 62.63, 68.20),
    500: (66.12, 77.25, 51.29, 59.06),
}


def main(out: Path) -> None:
    masks(out)
    kmnist(out)
    glyphs(out)
    transfer(out)
    for grid in ("learning-rates", "batch-sizes"):
        trials(out / "kmnist" / grid)


def masks(out: Path) -> None:
    """The first report's segmenters on patches and whole pages, and the one that ships."""
    _head("network", "seen", *(f"{name} (report)" for name in MASK_SCORES))
    for model, weight in SEGMENTERS:
        found = _read(out / "patches" / f"{model}-{weight}")
        reported = REPORTED_MASKS[f"{model}-{weight}"]
        if found:
            cells = [
                f"{_points(found, name)} ({value:.2f})"
                for name, value in zip(MASK_SCORES, reported, strict=True)
            ]
            _row(f"{model}, pos_weight {weight}", f"{PATCH_STEPS * PATCHES_A_STEP:,} patches", *cells)
    for model in ("encoder-decoder", "unet"):
        if found := _read(out / "pages" / f"{model}-20"):
            cells = [_points(found, name) for name in MASK_SCORES]
            _row(f"{model}, pos_weight 20, 256 × 256", f"{PAGE_STEPS * PAGES_A_STEP:,} pages", *cells)
    if found := _read(out / "patches" / "shipped"):
        _row("the segmenter that ships", "see its card", *(_points(found, name) for name in MASK_SCORES))


def kmnist(out: Path) -> None:
    """Kuzushiji-MNIST, 10,000 test images."""
    _head("network", "seeds", *LABEL_SCORES)
    for name, seeds in (("simple-cnn", None), ("resnet", SEEDS), ("vit", None)):
        folders = [f"{name}-{seed}" for seed in seeds] if seeds else [name]
        _seeds(name, [_read(out / "kmnist" / folder) for folder in folders])


def glyphs(out: Path) -> None:
    """The first report's classifier on drawn glyphs."""
    names = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
    _head("classes", *(f"{name} (report)" for name in names))
    for n_classes in CLASSES:
        if found := _read(out / "glyphs" / f"plain-cnn-{n_classes}"):
            reported = REPORTED_LABELS[n_classes]
            pairs = zip(names, reported, strict=True)
            _row(str(n_classes), *(f"{_points(found, name)} ({value:.2f})" for name, value in pairs))


def transfer(out: Path) -> None:
    """Crops of a page that was not seen, by what the network had learnt before."""
    _head("learnt before", "seeds", *LABEL_SCORES)
    for name in ("nothing", "kmnist", "glyphs"):
        _seeds(name, [_read(out / "transfer" / f"{name}-{seed}") for seed in SEEDS])


def trials(folder: Path) -> None:
    """A grid, the best trial first."""
    if not (folder / "trials.json").exists():
        return
    _head("trial", "validation accuracy", "validation loss")
    for line in (folder / "trials.json").read_text(encoding="utf-8").splitlines():
        trial = json.loads(line)
        loss = trial["validation_loss"]
        _row(
            trial["trial"],
            _points(trial, "validation_accuracy"),
            "no number" if loss is None else f"{loss:.3f}",
        )


def _seeds(name: str, found: Sequence[dict[str, Any]]) -> None:
    done = [scores for scores in found if scores]
    if not done:
        return
    cells = []
    for score in LABEL_SCORES:
        values = [100 * scores[score] for scores in done]
        spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
        cells.append(f"{fmean(values):.2f}{spread}")
    _row(name, str(len(done)), *cells)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "scores.json"
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return scores


def _points(scores: dict[str, Any], name: str) -> str:
    return f"{100 * scores[name]:.2f}"


def _head(*cells: str) -> None:
    print()
    _row(*(cell.replace("_", " ") for cell in cells))
    print("|" + "---|" * len(cells))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
