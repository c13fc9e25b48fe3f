"""This module runs grids of trainings, each in a folder of its own, scored on images kept from training.

No Optuna: a grid is a product of lists, and each folder says whether its trial is done. Its storage would
be a second account of that, in which a trial that was killed is running for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from fumikura.core.errors import DataSetError
from fumikura.core.own_files import in_our_folder, replacing
from fumikura.core.training.lessons import Lessons
from fumikura.core.training.run_folder import Row, read_metrics

#: Trains in a folder, or goes on there; gives the weights file.
Train = Callable[[Path, Lessons], Path]


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial is a training that is done.

    Attributes:
        point: what sets it apart from the others, by the names of `Lessons`.
        weights: their file; the run directory is its folder.
        rows: metrics, epoch by epoch. None is no number: the training diverged.
        kept: the row of the weights.
    """

    point: Mapping[str, Any]
    weights: Path
    rows: Sequence[Row]
    kept: Row

    @property
    def name(self) -> str:
        return name_of(self.point)

    @property
    def has_diverged(self) -> bool:
        """Tell whether the loss of the weights that were kept is no number."""
        return self.kept["validation_loss"] is None


def points_of(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """List all combinations of the values that vary; the last name varies fastest."""
    varied = {name: values for name, values in grid.items() if len(values) > 1}
    return [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]


def name_of(point: Mapping[str, Any]) -> str:
    """Name a trial and its folder by its point: learning_rate=0.1,batch_size=64."""
    return ",".join(f"{name}={value}" for name, value in point.items()) or "only"


def best_first(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """Order trials by their score, highest first; those that diverged come last."""
    return sorted(trials, key=lambda trial: (trial.has_diverged, -(trial.kept.get(metric) or 0.0)))


def run_trials(
    grid: Mapping[str, Sequence[Any]],
    lessons: Lessons,
    out: Path,
    *,
    train: Train,
    request: Mapping[str, Any],
    started: Callable[[str, bool], None],
) -> Iterator[Trial]:
    """Train at every point of a grid; what is done is not done again, and what was cut off goes on.

    Args:
        grid: values to try, by the names of `Lessons`.
        lessons: all that the grid does not vary.
        request: what `train` was made from, such as model and data set: a trial of another one is none.
        started: told the name of each trial, and whether it was done before.

    Raises:
        CheckpointError: a folder holds another training.
        DataSetError: so few images that none was kept from training.
    """
    fixed = {name: values[0] for name, values in grid.items()}
    for point in points_of(grid):
        mine = replace(lessons, **{**fixed, **point})
        folder = out / name_of(point)
        wanted = json.loads(json.dumps({**request, **asdict(mine)}, default=str))
        weights = _weights_of(folder, wanted)
        started(name_of(point), weights is not None)
        if weights is None:
            weights = train(folder, mine)
            _note_done(folder, wanted, weights)
        rows = read_metrics(folder)
        if "validation_loss" not in rows[-1]:
            raise DataSetError(
                f"{folder}: too few images to keep any for comparing trials; raise --validation, and name"
                " another folder"
            )
        yield Trial(point, weights, rows, _kept(rows, patience=mine.patience))


def _weights_of(folder: Path, wanted: Mapping[str, Any]) -> Path | None:
    """Return the weights of a trial that is done as it is wanted now."""
    path = folder / "trial.json"
    if not path.exists():
        return None
    done = json.loads(path.read_text(encoding="utf-8"))
    weights = folder / done["weights"]
    return weights if done["request"] == wanted and weights.exists() else None


def _note_done(folder: Path, wanted: Mapping[str, Any], weights: Path) -> None:
    done = json.dumps({"weights": weights.name, "request": wanted}, ensure_ascii=False)
    with replacing(folder / "trial.json", in_our_folder) as unfinished:
        unfinished.write_text(done, encoding="utf-8")


def _kept(rows: Sequence[Row], *, patience: int) -> Row:
    """Return the row of the lowest validation loss where there was patience, else the last."""
    sound = [
        (loss, number) for number, row in enumerate(rows) if (loss := row["validation_loss"]) is not None
    ]
    return rows[min(sound)[1]] if patience and sound else rows[-1]
