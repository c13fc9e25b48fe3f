"""This module makes what `fumikura status` shows at one time, as tables or as an object."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from fumikura.cli.output import as_duration, counted, make_table
from fumikura.core.store.failures import FAILURES_COUNTED, FailureReason
from fumikura.core.store.queries import Overview, RunSummary
from fumikura.core.store.tables import Status

#: Reasons shown to people; --json gives all.
REASONS_SHOWN = 8
#: Characters of a run's command that are shown to people.
_COMMAND = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture holds all that is shown at one time.

    Attributes:
        rates: pages a second of each worker; None where there was but one look.
    """

    state: Overview
    runs: list[RunSummary]
    failures: list[FailureReason]
    rates: dict[str, float] | None

    @property
    def pages_per_second(self) -> float | None:
        return None if self.rates is None else sum(self.rates.values())

    @property
    def seconds_left(self) -> float | None:
        n_left = self.state.readings[Status.QUEUED] + self.state.readings[Status.LEASED]
        return n_left / self.pages_per_second if self.pages_per_second else None


def as_object(picture: Picture) -> dict[str, Any]:
    return {
        **asdict(picture.state),
        "workers": [
            {"worker": worker, "n_pages": n_pages, "lease_until": lease_until, "pages_per_second": rate}
            for worker, n_pages, lease_until, rate in _workers(picture)
        ],
        "runs": picture.runs,
        "failures": picture.failures,
        "pages_per_second": picture.pages_per_second,
        "seconds_left": picture.seconds_left,
    }


def _workers(picture: Picture) -> list[tuple[str, int, datetime | None, float | None]]:
    """List workers that hold pages or finished some lately: name, pages held, end of lease, pages/s."""
    loads = {load.worker: load for load in picture.state.workers}
    rates = picture.rates or {}
    return [
        (
            worker,
            loads[worker].n_pages if worker in loads else 0,
            loads[worker].lease_until if worker in loads else None,
            None if picture.rates is None else rates.get(worker, 0.0),
        )
        for worker in sorted(loads.keys() | rates.keys())
    ]


def tables(picture: Picture) -> list[Table]:
    shown = [_run_table(picture.runs)]
    if workers := _workers(picture):
        shown.append(_worker_table(workers))
    if picture.failures:
        shown.append(_failure_table(picture.failures))
    return shown


def _run_table(runs: list[RunSummary]) -> Table:
    counts = ["pages", "done", "failed", "skipped", "queued", "leased"]
    if any(run.cancelled for run in runs):
        counts.append("cancelled")
    rows = [
        (
            run.run,
            f"{run.created_at.astimezone():%m-%d %H:%M}",
            run.pages if run.is_listed else f"{run.pages:,}+",
            *(getattr(run, count) for count in counts[1:]),
            _in_one_line(run.command),
        )
        for run in runs
    ]
    numbers = [0, *range(2, 2 + len(counts))]
    return make_table("run", "begun", *counts, "what", rows=rows, numbers=numbers)


def _in_one_line(command: str) -> str:
    """Cut a command short, whose archives a shell may have listed one by one."""
    return command if len(command) <= _COMMAND else f"{command[: _COMMAND - 1]}…"


def _worker_table(workers: list[tuple[str, int, datetime | None, float | None]]) -> Table:
    now = datetime.now(UTC)
    rows = [
        (
            worker,
            n_pages,
            None if until is None else as_duration(max(0.0, (until - now).total_seconds())),
            None if rate is None else f"{rate:.2f}",
        )
        for worker, n_pages, until, rate in workers
    ]
    return make_table("worker", "pages in hand", "lease ends in", "pages/s", rows=rows, numbers=[1, 2, 3])


def _failure_table(failures: list[FailureReason]) -> Table:
    rows = [(one.n_pages, str(one.status), one.reason) for one in failures[:REASONS_SHOWN]]
    if n_more := sum(one.n_pages for one in failures[REASONS_SHOWN:]):
        rows.append((n_more, "–", "other reasons, see `fumikura failed`"))
    n_counted = sum(one.n_pages for one in failures)
    title = f"why the newest {n_counted:,} failed" if n_counted == FAILURES_COUNTED else ""
    return make_table("pages", "status", "reason", rows=rows, numbers=[0], title=title)


def last_line(picture: Picture) -> str:
    counts = ", ".join(f"{count:,} {status}" for status, count in picture.state.readings.items() if count)
    n_pages, n_readings = picture.state.n_pages, sum(picture.state.readings.values())
    # A page that several recipes read has several readings, and one whose readings were forgotten has none.
    readings = "" if n_readings in (0, n_pages) else f", {counted(n_readings, 'reading')}"
    line = f"{counted(n_pages, 'page')}{readings}: {counts or 'nothing asked for yet'}"
    if picture.pages_per_second is None:
        return line
    left = "" if picture.seconds_left is None else f", {as_duration(picture.seconds_left)} left"
    return f"{line}; {picture.pages_per_second:.2f} pages/s{left}"
