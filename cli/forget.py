"""fumikura forget: delete readings for good."""

from __future__ import annotations

import click

from fumikura.cli import options
from fumikura.cli.language import enumerated, sentences
from fumikura.cli.output import counted, print_json, say
from fumikura.core.archives.places import archive_name
from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.forgetting import Doomed, doomed_by_archive, doomed_by_recipe, doomed_by_run, forget


@click.command()
@click.argument("target", required=False, metavar="RUN|ARCHIVE")
@options.recipe
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.settings("database")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, settings: Settings, target: str | None, recipe: str | None, yes: bool, as_json: bool
) -> None:
    """Delete readings for good: characters, masks, texts and scores.

    Of a RUN those go that no other run asks for, of an ARCHIVE, PDF or scan those whose pages lie
    nowhere else; both say how many stay. Scans are never touched, and running the archive again reads
    it again. Pages that are being read at this moment are in the way: `fumikura cancel` first.

    \b
    Example:
      fumikura forget 3
      fumikura forget scans.zip --yes
      fumikura forget scans/book.pdf
      fumikura forget --recipe 4f1d2c
    """
    if (target is None) == (recipe is None):
        raise UsageError("name what to forget: a run's number, an archive, or --recipe with its digest")
    engine = open_existing(settings, only_reads=False)
    doomed = doomed_by_recipe(engine, recipe) if recipe is not None else _doomed(engine, str(target))
    if not yes and not _is_confirmed(doomed):
        say("nothing was forgotten")
        ctx.exit(1)
    n_forgotten = forget(engine, doomed)
    if as_json:
        print_json({"forgotten": n_forgotten, "kept": doomed.n_kept})
    say(sentences(f"{doomed.what}: {counted(n_forgotten, 'reading')} forgotten", _kept(doomed)))


def _doomed(engine: Engine, target: str) -> Doomed:
    if target.isdecimal():
        return doomed_by_run(engine, int(target))
    return doomed_by_archive(engine, archive_name(target))


def _is_confirmed(doomed: Doomed) -> bool:
    readings, characters = counted(doomed.n_readings, "reading"), counted(doomed.n_characters, "character")
    question = sentences(
        f"{doomed.what}: forget {readings} with {characters}",
        enumerated(*(f"{number:,} {status}" for status, number in doomed.readings.items())),
        _kept(doomed),
        "this cannot be undone",
    )
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        raise UsageError("nobody answered, so nothing was forgotten; --yes forgets without asking") from error


def _kept(doomed: Doomed) -> str:
    if not doomed.n_kept:
        return ""
    if doomed.archive is not None:
        return f"{doomed.n_kept:,} stay, because other archives hold their pages too"
    return f"{doomed.n_kept:,} stay, because other runs ask for them too"
