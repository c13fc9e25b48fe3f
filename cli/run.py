"""fumikura run: read archives on this machine."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import click

from fumikura.cli import options, run_results
from fumikura.cli.output import print_json, print_tables, put, say
from fumikura.cli.progress import Start, shown_progress
from fumikura.cli.rates import Pace
from fumikura.cli.stop_signals import stopped_by_signals
from fumikura.cli.submission import Request, Submission, begin
from fumikura.cli.terminal import ReaderGoneError
from fumikura.core.intake import score_readings
from fumikura.core.recognition.recipe import Recipe, recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.page_list import count_suspicious
from fumikura.core.store.queries import RunSummary, run_scores_by_book, run_summary
from fumikura.worker.devices import listed_devices

#: How long a run that is told to stop waits for the pages that are just being added.
_LAST_BATCH_S = 10.0


@click.command()
@options.archives
@options.rehash
@options.settings("database", "devices", "recipe", "broker", "reach")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    archives: tuple[str, ...],
    book: str | None,
    truth: tuple[Path, ...],
    partial_truth: tuple[Path, ...],
    rehash: bool,
    as_json: bool,
) -> None:
    """Read archives of page scans on this machine.

    An ARCHIVE is a folder, an image, a PDF, a pattern such as 'scans/*.jpg', a zip or a tar, also
    behind a URL such as s3://bucket/scans or https://host/scans.zip, which is fetched once to list
    its pages; @list.txt, or - for the standard input, names one a line. Every page is read once,
    whatever it is called and however often it comes: to go on after an interruption, give the same
    command again. Pages that failed are then tried again.

    \b
    Example:
      fumikura run scans.zip
      fumikura run pages/ --truth coordinate.csv --db genji.db
      fumikura run s3://library/genji https://example.org/scans/page_1.jpg

    Exit code: 0 all done, 3 some pages failed (see `fumikura failed`) or were cancelled, 130 interrupted.
    """
    started_s = time.monotonic()
    recipe = recipe_of(settings)
    listed_devices(settings.devices)  # before anything is queued
    request = Request("run", archives, book, truth, partial_truth, rehash)
    stop, pace = threading.Event(), Pace()
    submission = begin(settings, request, recipe, stop=stop)
    engine, run_id = submission.engine, submission.latest.run_id
    state = _read(settings, submission, recipe, stop=stop, pace=pace)
    scores = run_scores_by_book(engine, run_id, is_learnt=False)
    learnt = run_scores_by_book(engine, run_id, is_learnt=True)
    seconds = time.monotonic() - started_s
    figures = run_results.figures(state, scores, seconds=seconds, steady_rate=pace.pages_per_second)
    figures["learnt_pages"] = len(learnt)
    figures["suspicious"] = count_suspicious(engine, run_id)
    with suppress(ReaderGoneError):  # the exit code still tells whether all was read
        if as_json:
            # These two stand only where there is something to say.
            silent = [name for name in ("learnt_pages", "suspicious") if not figures[name]]
            print_json({name: value for name, value in figures.items() if name not in silent})
        else:
            print_tables(*run_results.tables(figures, scores))
            lines = (*run_results.left_out(learnt), *run_results.excerpt(engine, run_id))
            for line in (*lines, *run_results.look_at_these(engine, figures)):
                put(line)
    if stop.is_set():
        say("interrupted; give the same command again to go on")
        ctx.exit(130)
    n_suspicious = figures["suspicious"]
    for line in run_results.next_steps(state, database=settings.database_url, n_suspicious=n_suspicious):
        say(line)
    ctx.exit(3 if state.failed or state.cancelled else 0)


def _read(
    settings: Settings, submission: Submission, recipe: Recipe, *, stop: threading.Event, pace: Pace
) -> RunSummary:
    """Read what waits of a run, until all is read or `stop` is set; return how the run then stands."""
    engine, run_id, was_listed = submission.engine, submission.latest.run_id, submission.latest.is_listed
    state = run_summary(engine, run_id)
    if state.is_over:
        return state
    from fumikura.worker.launcher import run_locally  # a run that only skips pages needs no queue

    start = Start()
    with shown_progress(pace, start) as show, stopped_by_signals(stop):
        run_locally(settings, engine, run_id, recipe, on_progress=show, on_stage=start.note, stop=stop)
    submitted = submission.wait(timeout_s=_LAST_BATCH_S)
    if not was_listed and submitted.is_listed:
        submission.say_findings()
    score_readings(engine, run_id)  # pages that were being read when their truth came
    return run_summary(engine, run_id)
