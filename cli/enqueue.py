"""fumikura enqueue: ask the workers of a cluster to read archives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fumikura.cli import options
from fumikura.cli.output import print_json, say
from fumikura.cli.submission import Request, submit_all
from fumikura.cli.worker_tables import unread_lines
from fumikura.core.intake import Ignored
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.workers import unread_recipes


@click.command()
@options.archives
@options.rehash
@options.settings("database", "broker", "recipe", "reach")
@options.as_json
def command(
    settings: Settings,
    archives: tuple[str, ...],
    book: str | None,
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    rehash: bool,
    as_json: bool,
) -> None:
    """Ask the workers of a cluster to read archives.

    Writes into the database what is to be read, while it is still looking for more, and wakes
    the workers; `fumikura status` shows how far they are. Workers must find the archives under
    the same path as this machine, or under a URL (s3://, https:// and others), which is fetched
    once to list its pages. Pages read before are not read again. To go on after an interruption,
    give the same command again: a file of the same size and time is not hashed a second time.

    \b
    Example:
      fumikura enqueue a.zip --broker redis://queue/0 --db postgresql://db/scans
      fumikura enqueue 's3://library/genji/*.zip'
    """
    from fumikura.worker.feeder import wake_cluster  # loads Celery, which --help does not need

    recipe = recipe_of(settings)
    request = Request("enqueue", archives, book, truth, partial_truth, rehash)
    submission = submit_all(
        settings, request, recipe, wake=lambda engine: wake_cluster(settings, engine, recipe)
    )
    engine, submitted = submission.engine, submission.latest
    if as_json:
        print_json({"run": submitted.run_id, **asdict(submitted.added), **_left_out(submitted.ignored)})
    wake_cluster(settings, engine, recipe)
    for line in unread_lines(unread_recipes(engine, recipe_digest=recipe.digest)):
        say(line)
    if settings.broker_url is None:
        say("no --broker is set; pages wait in the database until a `fumikura worker` with one asks for them")
    say(f"see how far it is with `fumikura status --run {submitted.run_id}`")


def _left_out(ignored: Ignored) -> dict[str, Any]:
    """Count the files that are no pages for `--json`, and name some of each kind."""
    kinds = [
        {"kind": kind, "remedy": remedy, "n_files": n_files, "names": names}
        for (kind, remedy), (n_files, names) in ignored.kinds.items()
    ]
    return {"n_left_out": ignored.n_files, "left_out": kinds}
