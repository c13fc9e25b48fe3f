"""Count for Prometheus what a launcher does, and what its worker processes report."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: They hold the stages of a page on one slow core as of one on a fast GPU.
STAGE_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FILL_BUCKETS = (0.25, 0.5, 0.75, 1.0)


class Metrics:
    """Hold all metrics of one launcher, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.pages = counter(
            "fumikura_pages", "Pages that workers of this host finished.", ["device", "outcome"]
        )
        self.stage_seconds = histogram(
            "fumikura_stage_seconds",
            "Seconds that a page spends in a stage; what a batch takes is shared among its pages.",
            ["device", "stage"],
            buckets=STAGE_BUCKETS_S,
        )
        self.batch_fill = histogram(
            "fumikura_batch_fill_ratio",
            "Pages read together, as a share of those for which there was room.",
            ["device"],
            buckets=FILL_BUCKETS,
        )
        self.last_finished = gauge(
            "fumikura_last_page_finished_timestamp_seconds", "When a device last finished a page.", ["device"]
        )
        self.worker_ends = counter("fumikura_worker_ends", "Worker processes that ended unasked.", ["device"])
        self.leases_expired = counter(
            "fumikura_leases_expired", "Pages taken back because nobody renewed their leases."
        )
        self.readings = gauge(
            "fumikura_readings",
            "Readings of a recipe in the database, whoever makes them.",
            ["recipe", "status"],
        )
        self.unread = gauge(
            "fumikura_unread_pages", "Pages that wait in a recipe which no live worker reads.", ["recipe"]
        )
        self.paused = gauge("fumikura_paused", "1 while a device's worker takes no pages.", ["device"])
        self.messages = gauge(
            "fumikura_queue_messages", "Messages for a recipe that wait at the broker.", ["recipe"]
        )
        self.server_up = gauge("fumikura_server_up", "1 while a server answers this host.", ["server"])
        self.healthy = gauge("fumikura_healthy", "1 while /healthz is green.")
        self._pauses: dict[str, str] = {}
        self._unread: set[str] = set()
        self._lock = threading.Lock()
        self._n_steps = 0

    @property
    def n_steps(self) -> int:
        """Return how often anything has come nearer to its end."""
        return self._n_steps

    def note_step(self) -> None:
        with self._lock:
            self._n_steps += 1

    @property
    def pauses(self) -> dict[str, str]:
        """Return why workers of this host take no pages for now, by device."""
        with self._lock:
            return dict(self._pauses)

    def begin(self, device: str) -> None:
        """Let a device's counts stand at 0 before anything happened, as Prometheus wants it."""
        for outcome in ("done", "failed"):
            self.pages.labels(device, outcome)
        self.worker_ends.labels(device)
        self.paused.labels(device).set(0)
        self.batch_fill.labels(device)

    def note_end(self, device: str, *, was_ready: bool) -> None:
        """Count a worker process that ended, before or after it was ready for pages."""
        self._note_pause(device, None)
        self.worker_ends.labels(device).inc()
        if was_ready:
            # Nearer to its end: the page that is to blame will soon stand alone.
            self.note_step()

    def note_unread(self, n_pages: Mapping[str, int]) -> None:
        """Note in which recipes pages wait that no live worker reads, and how many."""
        for recipe in self._unread - n_pages.keys():
            self.unread.remove(recipe)
            self.readings.remove(recipe, "queued")
        for recipe, count in n_pages.items():
            self.unread.labels(recipe).set(count)
            # Of other recipes than ours nobody else counts them, and an alert looks for pages that wait.
            self.readings.labels(recipe, "queued").set(count)
        self._unread = set(n_pages)

    def take(self, device: str, event: Mapping[str, Any]) -> None:
        """Count an event that a worker process reported (`worker/reports.py`)."""
        if "batch_fill" in event:
            self.batch_fill.labels(device).observe(event["batch_fill"])
            return
        if "paused" in event:
            self._note_pause(device, event["paused"])
            return
        self.pages.labels(device, event["page"]).inc()
        self.last_finished.labels(device).set(event["at"])
        for stage, seconds in event["seconds"].items():
            self.stage_seconds.labels(device, stage).observe(seconds)
        self.note_step()

    def _note_pause(self, device: str, reason: str | None) -> None:
        with self._lock:
            self._pauses.pop(device, None)
            if reason is not None:
                self._pauses[device] = reason
            self.paused.labels(device).set(reason is not None)
