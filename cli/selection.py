"""`text` and `export` choose pages by the same options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from fumikura.cli import options
from fumikura.cli.language import Told, enumerated, translated
from fumikura.cli.options import FiniteRange, Function
from fumikura.core.archives.places import archive_name
from fumikura.core.errors import FumikuraError, UsageError
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection, newest_run

_ADDED = [
    options.run_id,
    options.book,
    click.option(
        "--page", metavar="PAGE", help="Only this page: its name, id, or the beginning of its SHA-256."
    ),
    click.option("--archive", metavar="ARCHIVE", help="Only pages of this folder, zip, tar or URL."),
    options.recipe,
    click.option(
        "--min-confidence",
        type=FiniteRange(0, 1),
        metavar="P",
        help="Leave out characters that are less sure.",
    ),
    click.option(
        "--max-confidence",
        type=FiniteRange(0, 1),
        metavar="P",
        help="Leave out characters that are surer.",
    ),
    options.role,
    click.option(
        "--corrected",
        "by_people",
        flag_value="corrected",
        help="Only characters that people put right or confirmed.",
    ),
    click.option(
        "--confirmed",
        "by_people",
        flag_value="confirmed",
        help="The same, and only of pages that they confirmed as a whole.",
    ),
    click.option("--label", "labels", metavar="CHARS", help="Only these characters, such as 人心."),
]

unsure = click.option(
    "--unsure",
    "unsure_below",
    type=FiniteRange(0, 1),
    metavar="P",
    help="Mark characters that are less sure than this: 〔に？〕.",
)


def selected(function: Function) -> Callable[..., Any]:
    """Add the options of a selection; the command gets it as `selection`."""
    return options.gathered("selection", _made, Selection.__slots__, _ADDED)(function)


def _made(labels: str | None, archive: str | None, **given: Any) -> Selection:
    if labels is not None and not labels.strip():
        raise UsageError("--label names no character; give at least one")
    return Selection(
        **given,
        labels=None if labels is None else frozenset(labels) - {" ", "\N{IDEOGRAPHIC SPACE}"},
        archive=None if archive is None else archive_name(archive),
    )


def or_newest_run(engine: Engine, selection: Selection) -> Selection:
    """Choose the newest run where nothing says which pages are meant.

    Raises:
        FumikuraError: there is no run.
    """
    said = (
        *(selection.run_id, selection.book, selection.page, selection.archive),
        *(selection.recipe, selection.by_people),
    )
    if any(one is not None for one in said):
        return selection
    run_id = newest_run(engine)
    if run_id is None:
        raise FumikuraError("the database holds no run; read something first with `fumikura run`")
    return replace(selection, run_id=run_id)


def about_newest(given: Selection, chosen: Selection) -> str:
    """Say that there are other runs, where the newest one was chosen because none was named."""
    if given.run_id == chosen.run_id or chosen.run_id == 1:
        return ""
    return "that is the newest run alone; --run N takes another (see `fumikura status`)"


def told(selection: Selection) -> str:
    """Say in words which pages a selection holds: run 3, book 200010454."""
    parts = {
        translated("page"): selection.page,
        translated("book"): selection.book,
        translated("archive"): selection.archive,
        translated("run"): selection.run_id,
        translated("recipe"): selection.recipe,
    }
    named = [Told(f"{name} {value}") for name, value in parts.items() if value is not None]
    if selection.by_people is not None and not named:
        return translated(
            "what people put right" if selection.by_people == "corrected" else "what people confirmed"
        )
    return enumerated(*named)
