"""What a larger or smaller working resolution costs and brings, on the books that each fold has not seen.

    python -m benchmarks.frontier DATA OUT PICTURE

OUT is where benchmarks/train_folds.py left its weights; PICTURE is the PNG to draw. Costs are CPU seconds of
reading and scoring, relative to the resolution that ships. Prints Markdown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
from matplotlib.figure import Figure

from benchmarks.train_folds import FOLDS
from fumikura.core.recognition.reader import load_reader
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.scoring.comparison import compare_pages, find_known_pages
from fumikura.core.scoring.evaluation import PageMeasures, figures
from fumikura.core.settings import Settings

LONG_SIDES = (1024, 1088, 1152, 1216, 1280, 1408)
SHIPPED = Parameters().long_side
#: Heading and name of the measure.
MEASURES = {
    "Dice": "dice",
    "boxes found": "detection_recall",
    "detection F1": "detection_f1",
    "label accuracy": "character_accuracy",
    "text F1, mean": "text_f1_mean",
}
#: Fewer characters of text say little about a page.
MIN_TEXT = 50


def read_fold(data: Path, folder: Path, books: Sequence[str], long_side: int) -> list[PageMeasures]:
    """Measures of the fold's own pages, by its last weights."""
    settings = Settings(
        segmenter_path=folder / "segmenter-5" / "segmenter.safetensors",
        classifier_path=folder / "classifier-6" / "classifier.safetensors",
        context_path=folder / "context.safetensors",
    )
    reader = load_reader(settings, "cpu")
    parameters = replace(reader.recipe.parameters, long_side=long_side, patch_side=max(long_side, SHIPPED))
    reader.recipe = replace(reader.recipe, parameters=parameters)
    boxes = data / "boxes"
    known, _ = find_known_pages(
        [str(page) for book in books for page in sorted((data / "pages").glob(f"{book}_*"))],
        truth=[boxes / f"{book}_coordinate.csv" for book in ("100241706", "200010454")],
        partial_truth=[boxes / "kana_only_coordinate.csv"],
        texts=[data / "text"],
    )
    compared = compare_pages(reader, known, settings, min_text=MIN_TEXT)
    return [page.measures for page in compared if page.measures is not None]


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("picture", type=click.Path(path_type=Path, dir_okay=False))
def main(data: Path, out: Path, picture: Path) -> None:
    """Read every fold at every resolution."""
    costs_s: dict[int, float] = {}
    found: dict[int, dict[str, float | None]] = {}
    print(f"| long side | fold | {' | '.join(MEASURES)} |\n|{'---|' * (2 + len(MEASURES))}")
    warm_up, *_ = (fold for fold, books in FOLDS.items() if books)
    read_fold(data, out / warm_up, FOLDS[warm_up], SHIPPED)  # what is loaded once counts for none
    for long_side in LONG_SIDES:
        pages: list[PageMeasures] = []
        started_s = time.process_time()
        for fold, books in FOLDS.items():
            if books:
                read = read_fold(data, out / fold, books, long_side)
                print(_row(long_side, fold, figures(read)), flush=True)
                pages += read
        costs_s[long_side] = time.process_time() - started_s
        found[long_side] = figures(pages)
        print(_row(long_side, "all", found[long_side]), flush=True)
    costs = {side: cost_s / costs_s[SHIPPED] for side, cost_s in costs_s.items()}
    print(f"\n| long side | {' | '.join(map(str, costs))} |\n|{'---|' * (1 + len(costs))}")
    print(f"| cost | {' | '.join(f'{cost:.2f}' for cost in costs.values())} |")
    draw(costs, found, picture)


def _row(long_side: int, fold: str, values: Mapping[str, float | None]) -> str:
    cells = ("" if (value := values[name]) is None else f"{value:.3f}" for name in MEASURES.values())
    return f"| {long_side} | {fold} | {' | '.join(cells)} |"


def draw(costs: dict[int, float], found: dict[int, dict[str, float | None]], picture: Path) -> None:
    """Each measure, over the pages of all folds together, against the cost of a page."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for heading, name in MEASURES.items():
        points = [(costs[side], found[side][name]) for side in LONG_SIDES]
        axes.plot(*zip(*points, strict=True), marker="o", label=heading)
    for side in LONG_SIDES:
        axes.annotate(
            f"{side}", (costs[side], 1.0), xycoords=("data", "axes fraction"), rotation=60, va="bottom"
        )
    axes.set(xlabel=f"CPU time a page, relative to a long side of {SHIPPED} pixels")
    axes.set_ylabel("score on books not seen")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    main()
