"""A run shows how far it is: by a bar in a terminal, by a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fumikura.cli.output import as_duration, console_for, say
from fumikura.cli.rates import Pace
from fumikura.core.store.queries import RunSummary

#: Seconds between two lines where there is no terminal to draw a bar in.
_QUIET_S = 10.0


@contextmanager
def shown_progress(pace: Pace) -> Iterator[Callable[[RunSummary], None]]:
    """Yield a function that shows a run's summary on stderr each time it is called."""
    console = console_for(sys.stderr)
    if not console.is_terminal:
        yield _line_now_and_then(pace)
        return
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(summary: RunSummary) -> None:
            pace.note(time.monotonic(), summary.done)
            bar.update(
                task, total=summary.pages, completed=_n_over(summary), description=_rate(summary, pace)
            )

        yield show


def _line_now_and_then(pace: Pace) -> Callable[[RunSummary], None]:
    next_s = time.monotonic() + _QUIET_S

    def show(summary: RunSummary) -> None:
        nonlocal next_s
        pace.note(time.monotonic(), summary.done)
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + _QUIET_S
            say(f"{_n_over(summary)} of {summary.pages} pages, {_rate(summary, pace)}")

    return show


def _n_over(summary: RunSummary) -> int:
    return summary.pages - summary.queued - summary.leased


def _rate(summary: RunSummary, pace: Pace) -> str:
    failed = f", {summary.failed} failed" if summary.failed else ""
    speed = pace.pages_per_second
    if speed is None:
        return f"{_stage(summary)}{failed}"
    left_s = (summary.queued + summary.leased) / speed
    return f"{speed:.2f} pages/s, {as_duration(left_s)} left{failed}"


def _stage(summary: RunSummary) -> str:
    """Say what happens while there is no rate yet."""
    if summary.done:
        return "measuring the rate"
    return "reading the first pages" if summary.leased else "starting"
