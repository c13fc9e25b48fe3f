"""A broker, a PostgreSQL and some launchers with a worker process each, as the chaos suite breaks them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fumikura.core.errors import DatabaseError
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.queries import RunSummary, run_summary
from fumikura.core.store.upgrading import open_database, upgrade
from tests.chaos.worker import recipe_for
from tests.rabbitmq import running_rabbitmq
from tests.servers import Server, running_postgres, running_redis
from tests.simple_launcher import children, wait_until

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """All that runs.

    Attributes:
        environment: of the launchers, beside the settings.
        pages: that are to be read.
        hosts: a folder for each host, see `chaos/pages.py`.
        wrong: what should not have been, for a person.
    """

    broker: Server
    database: Server
    settings: Settings
    recipe: Recipe
    engine: Engine
    environment: Mapping[str, str]
    log: Path
    run_id: int
    pages: list[PageReference]
    hosts: Path
    wrong: list[str] = field(default_factory=list)
    launchers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_launcher(self, place: int | None = None) -> None:
        """One more, or a new one in the place of one that died."""
        command = [sys.executable, "-m", "tests.chaos.launcher"]
        host = f"host-{len(self.launchers) if place is None else place}"
        settings = self.settings.overridden(host_name=host)
        modules = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, **self.environment, **settings.to_environment(), "PYTHONPATH": modules}
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=self.hosts / host, env=environment, stderr=log)
        if place is None:
            self.launchers.append(process)
        else:
            self.launchers[place].wait(10)
            self.launchers[place] = process

    def unmount(self, place: int) -> None:
        """Let the scans be gone on a host."""
        (self.hosts / f"host-{place}" / "scans").unlink()

    def mount(self, place: int) -> None:
        (self.hosts / f"host-{place}" / "scans").symlink_to(self.hosts.parent / "scans")

    def replace_the_dead(self) -> None:
        """What systemd or a container engine does."""
        for place, launcher in enumerate(self.launchers):
            if launcher.poll() is not None:
                self.start_launcher(place)

    def worker_processes(self, place: int | None = None) -> list[psutil.Process]:
        """Of one launcher or of all; waits until there is one."""
        found: list[psutil.Process] = []

        def find() -> bool:
            self.replace_the_dead()  # one that began while a server was away has ended
            for launcher in self.launchers if place is None else [self.launchers[place]]:
                with suppress(psutil.NoSuchProcess):
                    found.extend(children(launcher.pid))
            return bool(found)

        wait_until(find, timeout_s=60)
        return found

    def summary(self) -> RunSummary:
        return run_summary(self.engine, self.run_id)

    def n_done(self) -> int:
        """Pages done; as before, while the database is away."""
        with suppress(DatabaseError):
            self._n_done = self.summary().done
        return self._n_done

    _n_done: int = 0

    def stop(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for launcher in self.launchers:
            launcher.terminate()
        return [launcher.wait(60) for launcher in self.launchers]


@contextmanager
def running_cluster(
    pages: list[PageReference],
    *,
    n_workers: int,
    broker: str,
    database_survives: bool,
    settings: Settings,
    environment: Mapping[str, str],
    folder: Path,
) -> Iterator[Cluster]:
    """A cluster that has begun to read some pages, ended at the end whatever became of it.

    Args:
        broker: "redis" or "rabbitmq".
        folder: with the scans; logs go there.
        database_survives: keep what was committed just before a crash of the database.
    """
    with ExitStack() as stack:
        server = stack.enter_context(
            running_rabbitmq() if broker == "rabbitmq" else running_redis(survives=True)
        )
        database = stack.enter_context(running_postgres(survives=database_survives))
        settings = settings.overridden(broker_url=server.url, database_url=database.url)
        upgrade(database.url)
        engine = open_database(database.url)
        stack.callback(engine.dispose)
        recipe = recipe_for(settings)
        run_id = add_run(engine, recipe, command="chaos")
        add_pages(engine, run_id, pages)
        finish_listing(engine, run_id)
        log, hosts = folder / "workers.log", folder / "hosts"
        cluster = Cluster(server, database, settings, recipe, engine, environment, log, run_id, pages, hosts)
        stack.callback(_end, cluster)
        for place in range(n_workers):
            (hosts / f"host-{place}").mkdir(parents=True)
            cluster.mount(place)
            cluster.start_launcher()
        yield cluster


def _end(cluster: Cluster) -> None:
    for launcher in cluster.launchers:
        with suppress(psutil.NoSuchProcess):
            for child in children(launcher.pid):
                child.kill()
        launcher.kill()
        launcher.wait()
