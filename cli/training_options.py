"""This module holds what the subcommands of `fumikura train` share: options, and how far a training is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from fumikura.cli.left_out_books import LeftOut
from fumikura.cli.optional_packages import need_training
from fumikura.cli.options import Existing, FiniteRange, Function, gathered, with_options
from fumikura.cli.output import put
from fumikura.core.errors import UsageError

if TYPE_CHECKING:
    from fumikura.core.training.datasets.training_pages import TrainingPage
    from fumikura.core.training.lessons import Lessons, Material

given = Existing()


@dataclass(frozen=True, slots=True)
class GivenPages:
    """This holds the options that name pages and texts to learn from."""

    archives: tuple[str, ...]
    truth: tuple[Path, ...]
    partial_truth: tuple[Path, ...]
    without_book: tuple[str, ...]
    fonts: tuple[Path, ...]
    transcripts: Path | None

    def load(self, *, with_texts: bool, layouts: Sequence[Path] = ()) -> tuple[list[TrainingPage], list[str]]:
        """Load the scans with boxes, and the texts of --transcripts.

        Args:
            layouts: of photographs among the archives; what is no writing on them is learnt too.

        Raises:
            UsageError: there are archives, but no boxes.
        """
        from fumikura.core.training.context_counts import read_page_texts
        from fumikura.core.training.datasets.layout_pages import load_layout_pages
        from fumikura.core.training.datasets.training_pages import load_training_pages

        without, pages, texts = LeftOut(self.without_book), [], dict[str, str]()
        has_truth = bool(self.truth or self.partial_truth)
        if self.archives and not has_truth and not layouts:
            raise UsageError("pages are learnt by their boxes; give --truth or --partial-truth")
        if self.archives and has_truth:
            pages = load_training_pages(self.archives, self.truth, self.partial_truth, without_books=without)
        if layouts:
            pages += load_layout_pages(self.archives, layouts, without_books=without)
        if with_texts and self.transcripts is not None:
            texts = read_page_texts([self.transcripts], without_books=without)
        without.say_unknown()
        return pages, list(texts.values())


@dataclass(frozen=True, slots=True)
class Run:
    """This holds the options of every training: its folder, how long, on what device, and how fast."""

    out: Path
    steps: int
    device: str
    precision: Literal["auto", "bf16", "fp32"]
    seed: int
    learning_rate: float | None

    def lessons(self, usual: Lessons, **more: Any) -> Lessons:
        """Make lessons of the usual ones, and of what was given."""
        from fumikura.core.training.lessons import find_precision

        return replace(
            usual,
            steps=self.steps,
            learning_rate=self.learning_rate or usual.learning_rate,
            seed=self.seed,
            precision=find_precision(self.precision, self.device),
            **more,
        )


#: The command gets them as its `run`.
run_options = gathered(
    "run",
    Run,
    Run.__slots__,
    [
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            metavar="FOLDER",
            help="Where state, metrics and weights go.",
        ),
        click.option(
            "--steps",
            type=click.IntRange(min=1),
            default=3000,
            help="Batches to learn from.",
        ),
        click.option("--device", default="cpu", help="cpu or cuda."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "bf16", "fp32"]),
            default="auto",
            help="auto is bf16 where the device is fast at it.",
        ),
        click.option("--seed", default=1, help="Same seed, same training."),
        click.option(
            "--learning-rate",
            type=FiniteRange(min=0, min_open=True),
            metavar="X",
            help="The highest; lower it with --start. [default: 0.003 for a segmenter, 0.002 for a"
            " classifier, 0.001 for either on prepared data]",
        ),
    ],
)

#: The command gets them as its `pages`, with its --fonts and --transcripts.
page_options = gathered(
    "pages",
    GivenPages,
    GivenPages.__slots__,
    [
        click.argument("archives", nargs=-1, metavar="[ARCHIVE]..."),
        click.option(
            "--truth",
            type=given,
            multiple=True,
            metavar="PATH",
            help="Boxes of all characters, or lines.",
        ),
        click.option(
            "--partial-truth", type=given, multiple=True, metavar="PATH", help="Boxes of some characters."
        ),
        click.option(
            "--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable."
        ),
    ],
)

#: Options of prepared data alone; each is the attribute of `Lessons` of its name.
_LESSONS: dict[str, dict[str, Any]] = {
    "epochs": {"type": click.IntRange(min=1), "help": "Times to see all images, instead of --steps."},
    "batch_size": {"type": click.IntRange(min=1), "default": 64},
    "schedule": {
        "type": click.Choice(["one-cycle", "constant"]),
        "default": "one-cycle",
        "help": "Whether the learning rate rises and falls, or stays.",
    },
    "weight_decay": {"type": FiniteRange(min=0), "default": 0.01, "help": "0 is plain Adam."},
    "augmentation": {
        "type": click.Choice(["none", "rotation", "strong"]),
        "default": "none",
        "help": "How images are changed each time: turned by up to 10°, or bent, shifted and scaled too.",
    },
    "validation": {
        "type": FiniteRange(0, 1, max_open=True),
        "default": 0.05,
        "help": "Share of the images that is only looked at, after each epoch.",
    },
    "patience": {
        "type": click.IntRange(min=0),
        "default": 0,
        "metavar": "N",
        "help": "End when the validation loss has not fallen for N epochs, with the best weights; 0: never.",
    },
}

#: The command gets them as its `lessons`, a dictionary.
lesson_options = gathered(
    "lessons",
    dict,
    list(_LESSONS),
    [click.option(f"--{name.replace('_', '-')}", **values) for name, values in _LESSONS.items()],
)


def text_options(fonts: str, transcripts: str) -> Callable[[Function], Function]:
    """Return a decorator that adds --fonts and --transcripts, with these helps."""
    return with_options(
        [
            click.option("--fonts", type=given, multiple=True, metavar="PATH", help=fonts),
            click.option("--transcripts", type=given, metavar="FILE", help=transcripts),
        ]
    )


def start_option(more: str) -> Callable[[Function], Function]:
    """Return a decorator that adds --start, whose help ends with this."""
    return click.option("--start", type=given, metavar="FILE", help=f"Begin with these weights; {more}")


def make_lessons(options: dict[str, Any], run: Run, **more: Any) -> Lessons:
    """Make the lessons that the options of prepared data come to."""
    from fumikura.core.training.lessons import Lessons

    if options["patience"] and not options["validation"]:
        raise UsageError("--patience needs images to look at; give --validation more than 0")
    return run.lessons(Lessons(), **options, **more)


def check_all(
    ctx: click.Context, run: Run, prepared: str, *, of_pages: set[str], of_prepared: set[str]
) -> None:
    """See that all that was given makes sense together, before anything is loaded.

    Args:
        prepared: name of the option that names prepared data.
        of_pages: further options of the other way to train.
        of_prepared: further options of this one.

    Raises:
        UsageError: an option belongs to the other way to train, or a package is missing.
        DeviceError: the device does not work.
    """
    need_training("fontTools", "scipy")
    is_prepared = ctx.params[prepared] is not None
    unfit = {*of_pages, *GivenPages.__slots__} if is_prepared else {*of_prepared, *_LESSONS}
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in unfit and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            shown = "an ARCHIVE" if name == "archives" else parameter.opts[0]
            if is_prepared:
                raise UsageError(f"{shown} has no meaning with --{prepared}; leave it out")
            raise UsageError(f"{shown} has no meaning without --{prepared}; leave it out")
    from fumikura.core.recognition.models.device import try_device  # loads torch
    from fumikura.core.training.run_folder import check_folder

    try_device(run.device)
    check_folder(run.out)


def run_training(material: Material, run: Run, lessons: Lessons, start: Path | None) -> None:
    """Train with a bar on stderr, and print the path of the weights."""
    from fumikura.core.training.loop import train_network

    with shown_progress() as progress:
        path = train_network(
            material, run.out, lessons=lessons, device=run.device, progress=progress, start=start
        )
    put(path)


@contextmanager
def shown_progress() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Give a function that shows steps and losses in a bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[losses]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", losses="")

        def show(step: int, steps: int, losses: dict[str, float]) -> None:
            described = "  ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in losses.items())
            bar.update(task, completed=step, total=steps, losses=described)

        yield show
