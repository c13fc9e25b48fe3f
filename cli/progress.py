"""How far a run is: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.output import as_duration, console_for, say
from core.store.queries import RunSummary

#: Seconds between two lines where there is no terminal to draw a bar in.
_QUIET_S = 10.0


@dataclass(slots=True)
class Pace:
    """Pages a second since the first pages were finished, so without the start of the workers.

    The pages that finish first come in one batch; they and the time before them are left out.
    """

    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None

    def note(self, now_s: float, n_done: int) -> None:
        if n_done > (self.last[1] if self.last else 0):
            self.last = (now_s, n_done)
            self.first = self.first or self.last

    @property
    def pages_per_second(self) -> float | None:
        """None until a second batch has finished."""
        if self.first is None or self.last is None or self.last[0] <= self.first[0]:
            return None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


@contextmanager
def shown_progress(pace: Pace) -> Iterator[Callable[[RunSummary], None]]:
    """A function that shows a run's summary on stderr each time it is called."""
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
        return f"measuring the rate{failed}" if summary.done else f"starting{failed}"
    left_s = (summary.queued + summary.leased) / speed
    return f"{speed:.2f} pages/s, {as_duration(left_s)} left{failed}"
