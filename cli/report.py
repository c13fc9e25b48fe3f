"""fumikura report: a run as files for a browser."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from fumikura.cli import options
from fumikura.cli.language import is_english
from fumikura.cli.optional_packages import need_packages
from fumikura.cli.output import counted, print_json, say
from fumikura.core.settings import Settings
from fumikura.core.store.existing_database import open_existing
from fumikura.core.store.queries import run_summary

_NAMED = 5


@click.command()
@click.argument("run", type=int)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder to write into.",
)
@options.settings("database", "reach")
@options.as_json
@click.pass_context
def command(ctx: click.Context, settings: Settings, run: int, out: Path, as_json: bool) -> None:
    """Write a run as files that any browser opens, without a server.

    The wall of its pages, those that should be looked at first, and each page beside its text as
    in the reading room (`fumikura serve`). The same again writes what has changed since.

    \b
    Example:
      fumikura report 3 -o report/

    Exit code: 0 all written, 3 some scans are gone.
    """
    need_packages("fastapi", "jinja2", extra="serve")
    from fumikura.web.rendering import check_viewer
    from fumikura.web.report import write_report

    check_viewer()
    engine = open_existing(settings)
    total = run_summary(engine, run).pages
    with click.progressbar(length=total, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        written = write_report(
            engine,
            run,
            out,
            settings=settings,
            language="en" if is_english() else "ja",
            progress=lambda _: bar.update(1),
        )
    if as_json:
        print_json({"out": str(out), **asdict(written)})
    else:
        say(f"run {run}: {counted(written.n_pages, 'page')}; open {out / 'index.html'}")
    for page, reason in written.left_out[:_NAMED]:
        say(f"page {page} has no picture: {reason}")
    ctx.exit(3 if written.left_out else 0)
