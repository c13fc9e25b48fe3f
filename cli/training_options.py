"""What the subcommands of `fumikura train` share: options, and how far a training is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from fumikura.cli.options import FiniteRange
from fumikura.cli.output import say
from fumikura.core.errors import UsageError

if TYPE_CHECKING:
    from fumikura.core.training.lessons import Lessons

Function = TypeVar("Function", bound=Callable[..., Any])
given = click.Path(path_type=Path, exists=True)


class LeftOut:
    """Books of --without-book, and which of them there were.

    A name that fits nothing is most likely mistyped, and the book is then learnt that is to be scored.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._met: set[str] = set()

    def __contains__(self, book: object) -> bool:
        if book not in self._names:
            return False
        self._met.add(str(book))
        return True

    def say_unknown(self) -> None:
        """Name the books for which nothing was left out; to be called when all was looked through."""
        for name in self._names:
            if name not in self._met:
                say(f"--without-book {name} leaves nothing out; is the name right?")


def run_options(function: Function) -> Function:
    """--out, --steps, --device, --precision, --seed and --learning-rate."""
    for option in (
        click.option(
            "--learning-rate",
            type=FiniteRange(min=0, min_open=True),
            metavar="X",
            help="The highest; lower it with --start. [default: 0.003 for a segmenter, 0.002 for a"
            " classifier, 0.001 for either on prepared data]",
        ),
        click.option("--seed", default=1, show_default=True, help="Same seed, same training."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "bf16", "fp32"]),
            default="auto",
            show_default=True,
            help="auto is bf16 where the device is fast at it.",
        ),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        click.option(
            "--steps",
            type=click.IntRange(min=1),
            default=3000,
            show_default=True,
            help="Batches to learn from.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            metavar="FOLDER",
            help="Where state, metrics and weights go.",
        ),
    ):
        function = option(function)
    return function


def page_options(function: Function) -> Function:
    """[ARCHIVE]... with --truth, --partial-truth and --without-book."""
    for option in (
        click.option(
            "--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable."
        ),
        click.option(
            "--partial-truth", type=given, multiple=True, metavar="PATH", help="Boxes of some characters."
        ),
        click.option("--truth", type=given, multiple=True, metavar="PATH", help="Boxes of all characters."),
        click.argument("archives", nargs=-1, metavar="[ARCHIVE]..."),
    ):
        function = option(function)
    return function


#: Options of prepared data alone; each is the attribute of `Lessons` of its name.
_LESSONS = {
    "epochs": click.option(
        "--epochs", type=click.IntRange(min=1), help="Times to see all images, instead of --steps."
    ),
    "batch_size": click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True),
    "schedule": click.option(
        "--schedule",
        type=click.Choice(["one-cycle", "constant"]),
        default="one-cycle",
        show_default=True,
        help="Whether the learning rate rises and falls, or stays.",
    ),
    "weight_decay": click.option(
        "--weight-decay",
        type=FiniteRange(min=0),
        default=0.01,
        show_default=True,
        help="0 is plain Adam.",
    ),
    "augmentation": click.option(
        "--augmentation",
        type=click.Choice(["none", "rotation", "strong"]),
        default="none",
        show_default=True,
        help="How images are changed each time: turned by up to 10°, or bent, shifted and scaled too.",
    ),
    "validation": click.option(
        "--validation",
        type=FiniteRange(0, 1, max_open=True),
        default=0.05,
        show_default=True,
        help="Share of the images that is only looked at, after each epoch.",
    ),
    "patience": click.option(
        "--patience",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="End when the validation loss has not fallen for N epochs, with the best weights; 0: never.",
    ),
}


def lesson_options(function: Function) -> Callable[..., Any]:
    """Options of prepared data; the command gets them as its `lessons`, a dictionary."""

    @functools.wraps(function)
    def call(*positional: Any, **arguments: Any) -> Any:
        lessons = {name: arguments.pop(name) for name in _LESSONS}
        return function(*positional, lessons=lessons, **arguments)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_LESSONS.values()), call)


def make_lessons(options: dict[str, Any], learning_rate: float | None, **more: Any) -> Lessons:
    """What the options of prepared data come to."""
    from fumikura.core.training.lessons import Lessons

    if options["patience"] and not options["validation"]:
        raise UsageError("--patience needs images to look at; give --validation more than 0")
    return Lessons(learning_rate=learning_rate or 1e-3, **options, **more)


def check_options(
    ctx: click.Context, prepared: str, *, of_pages: Collection[str], of_prepared: Collection[str]
) -> None:
    """See that all options that were given belong to one way to train.

    Args:
        prepared: name of the option that names them.

    Raises:
        UsageError: an option belongs to the other way to train.
    """
    is_prepared = ctx.params[prepared] is not None
    unfit = of_pages if is_prepared else {*of_prepared, *_LESSONS}
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in unfit and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            shown = "an ARCHIVE" if name == "archives" else parameter.opts[0]
            raise UsageError(
                f"{shown} has no meaning {'with' if is_prepared else 'without'} --{prepared}; leave it out"
            )


def check_truth(truth: Collection[Path], partial_truth: Collection[Path]) -> None:
    """See that there are boxes to learn from.

    Raises:
        UsageError: there are none.
    """
    if not truth and not partial_truth:
        raise UsageError("pages are learnt by their boxes; give --truth or --partial-truth")


def run_training(train: Callable[..., Path], device: str) -> None:
    """Train with a bar on stderr, and print the path of the weights.

    Args:
        train: lacks device and progress.
    """
    with shown_progress() as progress:
        path = train(device=device, progress=progress)
    click.echo(path)


@contextmanager
def shown_progress() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """A function that shows steps and losses in a bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[losses]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", losses="")

        def show(step: int, steps: int, losses: dict[str, float]) -> None:
            described = "  ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in losses.items())
            bar.update(task, completed=step, total=steps, losses=described)

        yield show
