"""This module shows workers, and what no worker reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from fumikura.cli.language import Told, sentences, translated
from fumikura.cli.output import as_duration, counted, make_table
from fumikura.core.recognition.recipe import READING_VERSION
from fumikura.core.store.workers import State, Unread, Worker


def worker_table(workers: Sequence[Worker], rates: Mapping[str, float | None] | None) -> Table:
    """Make a table of workers, with a reason where one is paused.

    Args:
        rates: pages a second by the worker's unique name; None where there was but one look.
    """
    columns = ["worker", "state", "read", "in hand", "lease ends in"]
    columns += [] if rates is None else ["pages/s"]
    has_reasons = any(worker.reason for worker in workers)
    columns += ["why"] if has_reasons else []
    rows = []
    for worker, label in zip(workers, _labels(workers), strict=True):
        ends_s, rate = worker.lease_ends_s, (rates or {}).get(worker.name)
        row = [label, _state(worker), worker.n_done, worker.n_pages]
        row += [None if ends_s is None else as_duration(ends_s)]
        row += [] if rates is None else [None if rate is None else f"{rate:.2f}"]
        rows.append(row + ([translated(worker.reason or "")] if has_reasons else []))
    return make_table(*columns, rows=rows, numbers=[2, 3, 4, *([] if rates is None else [5])])


def _labels(workers: Sequence[Worker]) -> list[str]:
    """Name workers, with the number of their process where two commands on one host made the same name."""
    labels = [worker.worker for worker in workers]
    return [
        f"{label} ({worker.name.split('/')[1]})" if labels.count(label) > 1 and "/" in worker.name else label
        for label, worker in zip(labels, workers, strict=True)
    ]


def _state(worker: Worker) -> str:
    if worker.state is None or worker.state_s is None:
        return translated("not heard of")
    since = as_duration(worker.state_s)
    if worker.state == State.GONE:
        return translated(f"gone, last heard {since} ago")
    return Told(f"{translated(worker.state)} {since}")


def unread_lines(unread: Iterable[Unread]) -> list[str]:
    """Say of each recipe that nobody reads what would read it."""
    return [
        sentences(
            f"no worker reads recipe {one.recipe_digest[:12]}: {counted(one.n_pages, 'page')} queued",
            _remedy(one),
        )
        for one in unread
    ]


def _remedy(unread: Unread) -> str:
    if unread.version != READING_VERSION:
        return "another version of fumikura asked for it; enqueue the archives again with this one"
    context = unread.parameters.get("context")
    weight = f"{context['weight']:g}" if context else "0"
    weights = f"{unread.segmenter_digest[:8]}, {unread.classifier_digest[:8]}"
    return (
        "give the same `fumikura run` again, or start a `fumikura worker` with the same weights"
        f" ({weights}) and --context-weight {weight}"
    )
