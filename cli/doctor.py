"""fumikura doctor: check whether this machine has what reading needs."""

from __future__ import annotations

from collections.abc import Callable

import click
from rich.cells import set_cell_size

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.output import print_json, put, shown_as
from fumikura.core import doctor
from fumikura.core.settings import Settings

#: Cells of the longest subject, in any language.
_WIDEST = 12


@click.command()
@options.settings("database", "broker", "devices", "recipe")
@options.as_json
@click.pass_context
def command(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Check device, precision, weights, database, broker and disk: one line each.

    A line marked ✗ says what is wrong and what to do. Give the options, or set the
    variables, that you would give to `run` or `worker`. Exit code 1 if anything is wrong.

    \b
    Example:
      fumikura doctor
      fumikura doctor --db postgresql://db/scans --broker redis://queue/0
    """
    from fumikura.worker.broker import check_broker
    from fumikura.worker.devices import find_devices, n_threads, worker_devices

    def look_at_devices() -> str:
        workers = worker_devices(settings)
        return doctor.look_at_devices(workers, n_threads=n_threads(settings, len(workers)))

    checks: list[Callable[[], doctor.Check]] = [
        lambda: doctor.check("device", look_at_devices),
        lambda: doctor.check(
            "precision", lambda: doctor.look_at_precision(settings, find_devices(settings.devices))
        ),
        lambda: doctor.check("weights", lambda: doctor.look_at_weights(settings)),
        lambda: doctor.check("database", lambda: doctor.look_at_database(settings)),
        lambda: doctor.check("broker", lambda: check_broker(settings)),
        lambda: doctor.check("disk", lambda: doctor.look_at_disk(settings)),
    ]
    is_well = True
    for check in checks:
        found = check()
        is_well &= found.is_good
        if as_json:
            print_json(found)
        else:
            sign = shown_as("✓", "+") if found.is_good else shown_as("✗", "x")
            mark = click.style(sign, fg="green" if found.is_good else "red")
            subject = set_cell_size(translated(found.subject), _WIDEST)
            put(f"{mark} {subject} {translated(found.finding)}")
    ctx.exit(0 if is_well else 1)
