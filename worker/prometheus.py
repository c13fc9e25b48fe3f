"""What a launcher counts for Prometheus, its worker processes' reports included."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fumikura.core.store.tables import Status

#: Of a page on one slow core as of one on a fast GPU.
STAGE_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FILL_BUCKETS = (0.25, 0.5, 0.75, 1.0)

#: Statuses whose readings are few, or are what the work is: to count all that is done takes too long.
COUNTED = (Status.QUEUED, Status.LEASED, Status.FAILED, Status.QUARANTINED)


class Metrics:
    """All metrics of one launcher, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.pages = Counter(
            "fumikura_pages",
            "Pages that workers of this host finished.",
            ["device", "outcome"],
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "fumikura_stage_seconds",
            "Seconds that a page spends in a stage; what a batch takes is shared among its pages.",
            ["device", "stage"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        self.batch_fill = Histogram(
            "fumikura_batch_fill_ratio",
            "Pages read together, as a share of those for which there was room.",
            ["device"],
            buckets=FILL_BUCKETS,
            registry=registry,
        )
        self.last_finished = Gauge(
            "fumikura_last_page_finished_timestamp_seconds",
            "When a device last finished a page.",
            ["device"],
            registry=registry,
        )
        self.worker_ends = Counter(
            "fumikura_worker_ends", "Worker processes that ended unasked.", ["device"], registry=registry
        )
        self.leases_expired = Counter(
            "fumikura_leases_expired",
            "Pages taken back because nobody renewed their leases.",
            registry=registry,
        )
        self.readings = Gauge(
            "fumikura_readings",
            "Readings of a recipe in the database, whoever makes them.",
            ["recipe", "status"],
            registry=registry,
        )
        self.messages = Gauge(
            "fumikura_queue_messages",
            "Messages for a recipe that wait at the broker.",
            ["recipe"],
            registry=registry,
        )
        self.server_up = Gauge(
            "fumikura_server_up", "1 while a server answers this host.", ["server"], registry=registry
        )
        self.healthy = Gauge("fumikura_healthy", "1 while /healthz is green.", registry=registry)
        self._lock = threading.Lock()
        self._n_steps = 0

    @property
    def n_steps(self) -> int:
        """How often anything has come nearer to its end."""
        return self._n_steps

    def note_step(self) -> None:
        with self._lock:
            self._n_steps += 1

    def begin(self, device: str) -> None:
        """Let a device's counts stand at 0 before anything happened, as Prometheus wants it."""
        for outcome in ("done", "failed"):
            self.pages.labels(device, outcome)
        self.worker_ends.labels(device)
        self.batch_fill.labels(device)

    def note_end(self, device: str, *, was_ready: bool) -> None:
        """A worker process ended, before or after it was ready for pages."""
        self.worker_ends.labels(device).inc()
        if was_ready:
            # Nearer to its end: the page that is to blame will soon stand alone.
            self.note_step()

    def take(self, device: str, event: Mapping[str, Any]) -> None:
        """Count what `fumikura.worker.reports` told."""
        if "batch_fill" in event:
            self.batch_fill.labels(device).observe(event["batch_fill"])
            return
        self.pages.labels(device, event["page"]).inc()
        self.last_finished.labels(device).set(event["at"])
        for stage, seconds in event["seconds"].items():
            self.stage_seconds.labels(device, stage).observe(seconds)
        self.note_step()
