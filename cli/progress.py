"""A run shows how far it is: by a bar in a terminal, by a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fumikura.cli.language import Told, enumerated, translated
from fumikura.cli.output import as_duration, console_for, counted, say
from fumikura.cli.rates import Pace
from fumikura.core.store.queries import RunSummary
from fumikura.worker.reports import LOADED, RUNS

#: Seconds between two lines where there is no terminal to draw a bar in.
_QUIET_S = 10.0


#: What is waited for, by the last state that a worker has reported.
_WAITS = {"": "a worker starts", RUNS: "weights are loaded", LOADED: "a page drawn for a trial is read"}


@dataclass(slots=True)
class Start:
    """The start of a run tells what is waited for until pages are read, and for how long."""

    began_s: float = field(default_factory=time.monotonic)
    stage: str = ""

    def note(self, stage: str) -> None:
        self.stage = stage

    def describe(self, summary: RunSummary) -> Told:
        """Say what happens while there is no rate yet."""
        if summary.done:
            return translated("measuring the rate")
        waits = (
            "the first pages are read" if summary.leased else _WAITS.get(self.stage, "a worker takes pages")
        )
        return Told(f"{translated(waits)} ({time.monotonic() - self.began_s:.0f} s)")


@contextmanager
def shown_progress(pace: Pace, start: Start) -> Iterator[Callable[[RunSummary], None]]:
    """Yield a function that shows a run's summary on stderr each time it is called."""
    console = console_for(sys.stderr)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _line_now_and_then(pace, start)
        return
    columns = (
        TextColumn(translated("reading")),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(translated(_WAITS[""]), total=None)

        def show(summary: RunSummary) -> None:
            pace.note(time.monotonic(), summary.done)
            bar.update(
                task, total=summary.pages, completed=_n_over(summary), description=_rate(summary, pace, start)
            )

        yield show


def _line_now_and_then(pace: Pace, start: Start) -> Callable[[RunSummary], None]:
    next_s = time.monotonic() + _QUIET_S

    def show(summary: RunSummary) -> None:
        nonlocal next_s
        pace.note(time.monotonic(), summary.done)
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + _QUIET_S
            number = _n_over(summary)
            over = f"{number:,} of {counted(summary.pages, 'page')}"
            say(enumerated(over, _rate(summary, pace, start)))

    return show


def _n_over(summary: RunSummary) -> int:
    return summary.pages - summary.queued - summary.leased


def _rate(summary: RunSummary, pace: Pace, start: Start) -> Told:
    number = summary.failed
    failed = f"{number:,} failed" if number else ""
    speed = pace.pages_per_second
    if speed is None:
        return enumerated(start.describe(summary), failed)
    left = as_duration((summary.queued + summary.leased) / speed)
    return enumerated(f"{speed:.2f} pages/s", f"{left} left", failed)
