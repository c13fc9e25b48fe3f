"""This module makes what `fumikura status` shows at one time, as tables or as an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from fumikura.cli.language import Told, enumerated, sentences, translated
from fumikura.cli.output import as_duration, counted, make_table
from fumikura.cli.worker_tables import unread_lines, worker_table
from fumikura.core.store.failures import FAILURES_COUNTED, FailureReason
from fumikura.core.store.queries import Overview, RunSummary
from fumikura.core.store.tables import Status
from fumikura.core.store.workers import Unread, Worker

#: Reasons shown to people; --json gives all.
REASONS_SHOWN = 8
#: Characters of a run's command that are shown to people.
_COMMAND = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture holds all that is shown at one time.

    Attributes:
        unread: what waits in vain.
        rates: pages a second of each worker, None for one that nothing is known of yet; None where there was
            but one look.
    """

    state: Overview
    runs: list[RunSummary]
    workers: list[Worker]
    unread: list[Unread]
    failures: list[FailureReason]
    rates: Mapping[str, float | None] | None

    @property
    def pages_per_second(self) -> float | None:
        known = [rate for rate in (self.rates or {}).values() if rate is not None]
        return sum(known) if known else None

    @property
    def seconds_left(self) -> float | None:
        n_left = self.state.readings[Status.QUEUED] + self.state.readings[Status.LEASED]
        return n_left / self.pages_per_second if self.pages_per_second else None


def as_object(picture: Picture) -> dict[str, Any]:
    rates = picture.rates or {}
    return {
        **asdict(picture.state),
        "workers": [
            {**asdict(worker), "pages_per_second": rates.get(worker.name)} for worker in picture.workers
        ],
        "unread": picture.unread,
        "runs": picture.runs,
        "failures": picture.failures,
        "pages_per_second": picture.pages_per_second,
        "seconds_left": picture.seconds_left,
    }


def tables(picture: Picture) -> list[Table]:
    shown = [_run_table(picture.runs)]
    if picture.workers:
        shown.append(worker_table(picture.workers, picture.rates))
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


def _failure_table(failures: list[FailureReason]) -> Table:
    rows: list[tuple[int, str, str]] = [
        (one.n_pages, translated(one.status), translated(one.reason)) for one in failures[:REASONS_SHOWN]
    ]
    if n_more := sum(one.n_pages for one in failures[REASONS_SHOWN:]):
        rows.append((n_more, "", translated("other reasons, see `fumikura failed`")))
    n_counted = sum(one.n_pages for one in failures)
    title = f"why the newest {n_counted:,} failed" if n_counted == FAILURES_COUNTED else ""
    return make_table("pages", "status", "reason", rows=rows, numbers=[0], title=title)


def last_lines(picture: Picture) -> str:
    """Sum it all up in a line, and say in one each what waits in vain."""
    counts = [f"{number:,} {status}" for status, number in picture.state.readings.items() if number]
    n_pages, n_readings = picture.state.n_pages, sum(picture.state.readings.values())
    # A page that several recipes read has several readings, and one whose readings were forgotten has none.
    readings = counted(n_readings, "reading") if n_readings not in (0, n_pages) else ""
    known = enumerated(counted(n_pages, "page"), readings)
    left = None if picture.seconds_left is None else as_duration(picture.seconds_left)
    rate = enumerated(
        "" if picture.pages_per_second is None else f"{picture.pages_per_second:.2f} pages/s",
        "" if left is None else f"{left} left",
    )
    stand = enumerated(*counts) or translated("nothing asked for yet")
    line = sentences(Told(f"{known}: {stand}"), rate)
    return "\n".join([line, *unread_lines(picture.unread)])
