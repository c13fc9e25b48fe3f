"""Pages in a PostgreSQL that wait for workers with the simple reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.worker.broker import make_app, n_waiting, reached
from tests.simple_launcher import wait_until
from tests.simple_reader import RECIPE, draw_pages


@dataclass
class Cluster:
    """Pages that stand in the queue, and how to reach them.

    Attributes:
        read_log: where SIMPLE_READ_LOG points.
    """

    settings: Settings
    engine: Engine
    run_id: int
    read_log: Path

    @property
    def summary(self) -> RunSummary:
        return run_summary(self.engine, self.run_id)

    @property
    def times_read(self) -> Counter[str]:
        return Counter(self.read_log.read_text().split())

    @property
    def n_messages(self) -> int:
        with reached(make_app(self.settings, RECIPE)) as connection:
            return n_waiting(make_app(self.settings, RECIPE), connection)

    def wait_for(self, n_done: int) -> None:
        wait_until(lambda: self.summary.done >= n_done, timeout_s=60)


@contextmanager
def queued_pages(folder: Path, settings: Settings, n_pages: int) -> Iterator[Cluster]:
    """A run that asks for pages of a new folder, none of them announced yet."""
    engine = open_database(settings.database_url)
    run_id = add_run(engine, RECIPE, command="enqueue book")
    add_pages(engine, run_id, draw_pages(folder / "book", n_pages))
    yield Cluster(settings, engine, run_id, folder / "read.log")
    engine.dispose()
