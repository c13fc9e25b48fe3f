"""Several commands share these options, so that they are spelt and explained once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fumikura.core.page import Role
from fumikura.core.settings import PRECISIONS, Settings, read_settings

Function = Callable[..., Any]


class FiniteRange(click.FloatRange):
    """This range of floats refuses nan, which is in no range and yet passes every comparison with one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number.", param, ctx)
        return number


class Existing(click.Path):
    """This is the path of something that is there; what is not there is named, with what to do."""

    def __init__(self, *, is_file: bool = False, is_folder: bool = False) -> None:
        super().__init__(exists=True, path_type=Path, dir_okay=not is_file, file_okay=not is_folder)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(value)
        if not path.exists():
            self.fail(f"there is no {path}; correct its path, which counts from this folder", param, ctx)
        return super().convert(value, param, ctx)


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
run_id = click.option("--run", "run_id", type=int, metavar="N", help="Only this run (see `fumikura status`).")
book = click.option("--book", metavar="NAME", help="Only pages of this book.")
rehash = click.option(
    "--rehash",
    is_flag=True,
    help="Look into files again that have the size and time that they had when they were hashed.",
)
role = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="Only characters that belong to this: the main text, furigana, notes in it, or the margin.",
)
recipe = click.option(
    "--recipe", metavar="DIGEST", help="Only readings by this recipe; its beginning will do."
)
inverted = click.option(
    "--inverted",
    "is_inverted",
    is_flag=True,
    help="Turn dark into light first, and light into dark: for white ink on black, such as that of"
    " Kuzushiji-MNIST, where the weights learnt dark ink; or the other way round.",
)


def limit(default: int | None = 100, shown: str = "At most so many rows.") -> Callable[[Function], Function]:
    """Return the option of how many to show, at least one."""
    return click.option("--limit", type=click.IntRange(min=1), default=default, metavar="N", help=shown)


#: Options that name weights, by the kind of weights.
_WEIGHTS = {
    kind: click.option(
        f"--{kind}",
        f"{kind}_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"Weights that {does}. [FUMIKURA_{kind.upper()}_PATH; default: those that ship]",
    )
    for kind, does in (
        ("segmenter", "find characters"),
        ("classifier", "name characters"),
        ("context", "know which characters follow each other"),
    )
}

#: Options that stand for a setting: the setting's name is the parameter's.
_SETTINGS = {
    "database": [
        click.option(
            "--db",
            "database_url",
            metavar="URL",
            help="Database: a SQLite file, or postgresql://user:password@host/name."
            " [FUMIKURA_DATABASE_URL, or FUMIKURA_DATABASE_URL_FILE: a file that holds it; default:"
            " fumikura.db in this folder]",
        )
    ],
    "broker": [
        click.option(
            "--broker",
            "broker_url",
            metavar="URL",
            help="Queue that the machines share, such as redis://host/0 or amqp://host//."
            " [FUMIKURA_BROKER_URL, or FUMIKURA_BROKER_URL_FILE: a file that holds it]",
        )
    ],
    "devices": [
        click.option(
            "--devices",
            metavar="LIST",
            help="auto, cpu:2, or a list such as cuda:0,cuda:1. [FUMIKURA_DEVICES; default: auto]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Worker processes for each device. [FUMIKURA_WORKERS; default: 1; with --devices auto and"
            " without a GPU one for each core, as far as memory goes]",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            help="In which numbers the networks compute; fp16 is for GPUs. auto is bf16 where that is fast,"
            " else fp32. [FUMIKURA_PRECISION; default: auto]",
        ),
    ],
    "device": [
        click.option(
            "--device",
            "devices",
            metavar="NAME",
            help="auto, cpu, or one such as cuda:0. [FUMIKURA_DEVICES; default: auto]",
        )
    ],
    "watching": [
        click.option(
            "--metrics-port",
            type=click.IntRange(0, 65535),
            metavar="PORT",
            help="Serve /metrics for Prometheus and /healthz there; 0 serves neither."
            " [FUMIKURA_METRICS_PORT; default: 0]",
        ),
        click.option(
            "--metrics-host",
            metavar="ADDRESS",
            help="Where to listen for that: 0.0.0.0 or :: lets other machines ask."
            " [FUMIKURA_METRICS_HOST; default: 127.0.0.1, this machine alone]",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            help="Log lines for people, or a JSON object each. [FUMIKURA_LOG_FORMAT; default: text]",
        ),
    ],
    "reach": [
        click.option(
            "--allow-private-addresses",
            is_flag=True,
            default=None,
            help="Let the URL of an archive lead into this machine's own network."
            " [FUMIKURA_ALLOW_PRIVATE_ADDRESSES; default: false]",
        )
    ],
    "classifier": [_WEIGHTS["classifier"]],
    "recipe": [
        *_WEIGHTS.values(),
        click.option(
            "--context-weight",
            type=FiniteRange(min=0),
            metavar="X",
            help="How much the characters before one count for its label; 0 reads without context."
            f" [FUMIKURA_CONTEXT_WEIGHT; default: {Settings().context_weight}]",
        ),
        click.option(
            "--leaves",
            type=click.Choice(["auto", "one", "two", "off"]),
            help="Leaves of a book on each photograph; off reads all of it as one page. [FUMIKURA_LEAVES;"
            " default: auto]",
        ),
        click.option(
            "--as-is",
            "is_as_is",
            is_flag=True,
            default=None,
            help="Turn no page, invert no negative, read at one scale. [FUMIKURA_IS_AS_IS; default: false]",
        ),
    ],
}


def settings(*groups: str) -> Callable[[Function], Function]:
    """Add the options of some groups; the command gets what they come to as its `settings`."""
    added = [option for group in groups for option in _SETTINGS[group]]
    return gathered("settings", _overridden, Settings.__slots__, added)


def _overridden(**given: Any) -> Settings:
    # An empty option is none, as an empty variable is.
    return read_settings().overridden(
        **{name: None if value == "" else value for name, value in given.items()}
    )


def first_device(settings: Settings) -> str:
    """Find the first of the devices that are set, and see that it works.

    Raises:
        DeviceError: it does not.
    """
    from fumikura.core.recognition.models.device import try_device
    from fumikura.worker.devices import find_devices

    device = find_devices(settings.devices)[0]
    try_device(device)
    return device


def gathered(
    name: str, make: Callable[..., Any], names: Sequence[str], added: Sequence[Callable[[Function], Function]]
) -> Callable[[Function], Function]:
    """Return a decorator that adds options; the command gets them as one argument.

    Args:
        name: of that argument.
        make: makes it of the options, by name.
        names: of options that it takes where the command has them, also where they are added elsewhere.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*positional: Any, **arguments: Any) -> Any:
            mine = make(**{option: arguments.pop(option) for option in names if option in arguments})
            return function(*positional, **{name: mine}, **arguments)

        return with_options(added)(call)

    return decorate


def with_options(added: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    """Return a decorator that adds options, which stand in the help in this order."""

    def decorate(function: Function) -> Function:
        for option in reversed(added):
            function = option(function)
        return function

    return decorate


def archives(function: Function) -> Function:
    """Add ARCHIVE… with --book, --truth and --partial-truth."""
    path = Existing()
    added = [
        click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE..."),
        click.option(
            "--book", metavar="NAME", help="The work all these pages belong to. [default: from the names]"
        ),
        click.option(
            "--truth",
            type=path,
            multiple=True,
            metavar="PATH",
            help="What stands on the pages: CODH or Kaggle CSV, ALTO, PAGE or VOC XML, COCO JSON, masks,"
            " PAGE.txt; see docs/formats.md. Repeatable.",
        ),
        click.option(
            "--partial-truth",
            type=path,
            multiple=True,
            metavar="PATH",
            help="The same where some characters lack a box. Repeatable.",
        ),
    ]
    return with_options(added)(function)
