"""fumikura tune: train at every point of a grid, and compare."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fumikura.cli import options
from fumikura.cli.help_text import Group
from fumikura.cli.optional_packages import need_training
from fumikura.cli.output import as_duration, counted, make_table, print_json, print_tables, say
from fumikura.cli.train_classifier import classifier as train_classifier
from fumikura.cli.train_segmenter import segmenter as train_segmenter
from fumikura.cli.training_options import Run, make_lessons, shown_progress
from fumikura.core.errors import UsageError

if TYPE_CHECKING:
    from fumikura.core.training.grid_search import Trial
    from fumikura.core.training.lessons import Lessons, Material

_GRID = ("learning_rate", "batch_size", "augmentation", "schedule", "weight_decay", "seed")
_FIXED = ("out", "steps", "epochs", "device", "validation", "patience", "precision", "model", "crop_side")
#: Of options whose help for one training tells of what there is none of here.
_HELP = {
    "learning_rate": "The highest. [default: 0.001]",
    "characters": "What `fumikura prepare characters` wrote, Kuzushiji-MNIST, -49 or -Kanji.",
    "patches": "What `fumikura prepare patches` or `prepare pages` wrote.",
    "model": "Network to train. [default: unet, or resnet for a classifier]",
}


def _like(train: click.Command, *, data: str, grid: Collection[str]) -> list[click.Parameter]:
    """Copy the options of a training: those of the grid take lists, the data set is required."""
    found: list[click.Parameter] = []
    for option in train.params:
        if not isinstance(option, click.Option) or option.name not in {data, *grid, *_FIXED}:
            continue
        mine = copy.copy(option)
        mine.help = _HELP.get(str(mine.name), mine.help)
        mine.required = mine.required or mine.name == data
        if mine.name in grid:
            mine.type, mine.metavar = click.STRING, "LIST"
            mine.callback = partial(_values, option.type)
        found.append(mine)
    return found


def _values(
    one: Any, ctx: click.Context, option: click.Parameter, text: str | None
) -> tuple[Any, ...] | None:
    """Split a list into its values, each of the type that the option had for one."""
    if text is None:
        return None
    return tuple(dict.fromkeys(one.convert(word.strip(), option, ctx) for word in text.split(",")))


@click.group(cls=Group)
def command() -> None:
    """Train at every point of a grid, and compare.

    Options are those of `fumikura train` on prepared data; some of them take lists, separated by
    commas, and each combination is trained in a folder of its own. Trials are compared by the part
    of the training images that --validation keeps from learning, never by test images. The same
    command given again goes on where it stopped.

    \b
    Example:
      fumikura tune classifier --characters kmnist.npz --epochs 3 \\
          --learning-rate 0.01,0.001 --batch-size 32,128 --out runs/grid
    """


@command.command(params=_like(train_segmenter, data="patches", grid={*_GRID, "pos_weight"}))
@options.as_json
def segmenter(patches: Path, model: str, **given: Any) -> None:
    """Compare trainings of a segmenter, by Dice.

    \b
    Example:
      fumikura tune segmenter --patches patches/ --pos-weight 1,20,120 \\
          --out runs/weights
    """
    need_training("fontTools", "scipy")
    from fumikura.core.training.segmenter import patch_images

    made = partial(patch_images, patches, model=model)
    _tune(made, {"data": patches.resolve(), "model": model}, given, metric="validation_dice")


@command.command(params=_like(train_classifier, data="characters", grid={*_GRID, "smoothing"}))
@options.as_json
def classifier(characters: Path, model: str | None, crop_side: int | None, **given: Any) -> None:
    """Compare trainings of a classifier, by accuracy.

    \b
    Example:
      fumikura tune classifier --characters kmnist.npz --model simple-cnn \\
          --epochs 10 --learning-rate 0.1,0.01,0.001,0.0001 --out runs/rates
    """
    need_training("fontTools", "scipy")
    from fumikura.core.training.classifier import character_images

    made = partial(character_images, characters, model=model, crop_side=crop_side)
    request = {"data": characters.resolve(), "model": model, "crop_side": crop_side}
    _tune(made, request, given, metric="validation_accuracy")


def _tune(material: Material, request: dict[str, Any], given: dict[str, Any], *, metric: str) -> None:
    """Run the grid, draw it, print it.

    Args:
        request: all that it is made from.
        given: the other options.
    """
    from fumikura.core.marked_pictures import is_our_picture
    from fumikura.core.own_files import check_place
    from fumikura.core.training.grid_search import best_first, run_trials
    from fumikura.core.training.loop import train_network
    from fumikura.core.training.plots import draw_trials

    as_json = given.pop("as_json")
    comparison = given["out"] / "comparison.png"
    check_place(comparison, is_our_picture)  # now, since after all the trainings it is too late
    if not given["validation"]:
        raise UsageError(
            "trials are compared by images that they did not learn; give --validation more than 0"
        )
    grid = {name: values for name, values in given.items() if isinstance(values, tuple)}
    first = {name: values[0] if name in grid else values for name, values in given.items()}
    run = Run(**{name: first.pop(name) for name in Run.__slots__})
    lessons = make_lessons(first, run)

    def train_one(folder: Path, lessons: Lessons) -> Path:
        with shown_progress() as progress:
            return train_network(material, folder, lessons=lessons, device=run.device, progress=progress)

    def say_started(name: str, is_done: bool) -> None:
        say(f"{name}: done before" if is_done else f"{name}: training")

    trials = list(run_trials(grid, lessons, run.out, train=train_one, request=request, started=say_started))
    ordered = best_first(trials, metric)
    if as_json:
        for trial in ordered:
            print_json(_as_object(trial, metric))
    else:
        _print_table(ordered, metric)
    draw_trials(comparison, trials, metric=metric)
    say(f"{counted(len(trials), 'trial')}, compared in {comparison}")


def _as_object(trial: Trial, metric: str) -> dict[str, Any]:
    return {
        "trial": trial.name,
        **trial.point,
        metric: trial.kept[metric],
        "validation_loss": trial.kept["validation_loss"],
        "epoch": trial.kept["epoch"],
        "seconds": trial.rows[-1]["seconds"],
        "weights": str(trial.weights),
    }


def _print_table(trials: Sequence[Trial], metric: str) -> None:
    names = list(trials[0].point)
    rows = [
        [
            # As they were given: a learning rate of 0.0001 has more than three places.
            *(str(value) for value in trial.point.values()),
            trial.kept[metric],
            "diverged" if trial.has_diverged else trial.kept["validation_loss"],
            trial.kept["epoch"],
            as_duration(trial.rows[-1]["seconds"] or 0),
        ]
        for trial in trials
    ]
    columns = [name.replace("_", " ") for name in (*names, metric, "validation_loss", "epoch", "time")]
    print_tables(make_table(*columns, rows=rows, numbers=range(len(columns))))
