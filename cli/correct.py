"""fumikura correct: put right what was read, in a spreadsheet."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import options
from fumikura.cli.help_text import Group
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import counted, make_table, print_json, print_tables, say
from fumikura.cli.selection import or_newest_run, selected, told
from fumikura.core.settings import Settings
from fumikura.core.store.corrections import Act, history, undo
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.read_pages import Selection, count_pages

if TYPE_CHECKING:
    from fumikura.core.export.correction_sheet import SheetTaken

#: Conflicts that are named; --json names all.
_NAMED = 20

_who = click.option(
    "--who", metavar="NAME", help="Who put it right, as it is noted. [default: the name of your account]"
)


@click.group(cls=Group)
def command() -> None:
    """Put right what was read: in a spreadsheet here, in a browser with `fumikura serve --edit`.

    Corrections outlive every reading of the page, and are shown wherever its text is. `fumikura adapt
    --corrections` learns from them.

    \b
    Example:
      fumikura correct export sheet/ --unsure 0.6
      fumikura correct import sheet/corrections.csv
    """


@command.command("export")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--unsure",
    "unsure_below",
    type=FiniteRange(0, 1),
    metavar="P",
    help="Only characters that are less sure than this.",
)
@selected
@options.settings("database", "reach")
@options.as_json
@click.pass_context
def export(
    ctx: click.Context,
    settings: Settings,
    selection: Selection,
    out: Path,
    unsure_below: float | None,
    as_json: bool,
) -> None:
    """Write a table to fill in, a row a character, and a picture of each.

    OUT gets corrections.csv, and crops/ with a picture for the number in the first column. Write into
    the column `right` what the picture shows: the right label; - where there is no character; the
    label that was read, to confirm it. What is left empty stays as it is.

    \b
    Example:
      fumikura correct export sheet/ --book 200010454 --unsure 0.6

    Exit code: 0 all written, 3 some pages could not be.
    """
    from fumikura.core.export.correction_sheet import TABLE, write_sheet  # loads Pillow
    from fumikura.core.export.formats import Style

    engine = open_existing(settings)
    selection = or_newest_run(engine, selection)
    style = Style(limits=settings.limits, max_pixels=settings.max_pixels)
    total = count_pages(engine, selection)
    with click.progressbar(length=total, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        written = write_sheet(
            engine,
            selection,
            out,
            unsure_below=unsure_below,
            style=style,
            progress=lambda _: bar.update(1),
        )
    if as_json:
        print_json({"table": str(out / TABLE), **asdict(written)})
    else:
        rows = counted(written.n_characters, "character")
        what, table = told(selection), out / TABLE
        say(f"{what}: {rows} in {table}; fill in the column `right`, then `fumikura correct import {table}`")
    for page, reason in written.left_out[:_NAMED]:
        say(f"page {page} is left out: {reason}")
    ctx.exit(3 if written.left_out else 0)


@command.command("import")
@click.argument("table", type=options.Existing(is_file=True))
@_who
@options.settings("database")
@options.as_json
@click.pass_context
def take(ctx: click.Context, settings: Settings, table: Path, who: str | None, as_json: bool) -> None:
    """Take in what was filled in.

    A row is left out, and named, where something else stands on the page than when the table was
    written. The same table again changes nothing.

    \b
    Example:
      fumikura correct import sheet/corrections.csv --who Aoi

    Exit code: 0 all taken in, 3 some rows were not.
    """
    from fumikura.core.export.correction_sheet import take_sheet

    engine = open_existing(settings, only_reads=False)
    taken = take_sheet(engine, table, who=who or getpass.getuser())
    if as_json:
        print_json(asdict(taken))
    else:
        _tell(taken)
    ctx.exit(3 if taken.conflicts else 0)


def _tell(taken: SheetTaken) -> None:
    put_right = counted(taken.n_labels, "label")
    say(
        f"{put_right} put right, {taken.n_deleted:,} deleted, {taken.n_confirmed:,} confirmed;"
        f" {taken.n_known:,} stood there already"
    )
    for conflict in taken.conflicts[:_NAMED]:
        say(f"not taken: {conflict}")
    if (more := len(taken.conflicts) - _NAMED) > 0:
        say(f"and {counted(more, 'more row')}; --json names them all")


@command.command("list")
@click.argument("page")
@options.settings("database")
@options.as_json
def acts(settings: Settings, page: str, as_json: bool) -> None:
    """List what was put right on a page, and by whom.

    \b
    Example:
      fumikura correct list 200010454_00016_1
    """
    found = history(open_existing(settings), page)
    if as_json:
        for act in found:
            print_json(act)
    elif found:
        print_tables(
            make_table("act", "when", "who", "what", "undone", rows=map(_act_row, found), numbers=[0])
        )
    else:
        say("nothing was put right on this page")


def _act_row(act: Act) -> tuple[object, ...]:
    changes = ", ".join(
        f"{one.kind} {one.old_label or ''} → {one.label or ''}".strip() for one in act.corrections[:4]
    )
    more = f" … {len(act.corrections)}" if len(act.corrections) > 4 else ""
    undone = act.undone_at and f"{act.undone_at:%Y-%m-%d %H:%M}"
    return act.act, f"{act.made_at:%Y-%m-%d %H:%M}", act.who, changes + more, undone


@command.command("undo")
@click.argument("page")
@click.option("--act", type=int, metavar="N", help="Only this one (`correct list`). [default: the last]")
@options.settings("database")
def take_back(settings: Settings, page: str, act: int | None) -> None:
    """Undo what was last put right on a page.

    \b
    Example:
      fumikura correct undo 200010454_00016_1
    """
    undone = undo(open_existing(settings, only_reads=False), page, act=act)
    if undone is None:
        say("nothing was put right on this page")
    else:
        say(f"undone: act {undone.act} of {undone.who}")
