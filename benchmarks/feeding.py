"""How many pages a queue passes on, how busy it keeps a device, and what idle launchers cost.

    python -m benchmarks.feeding passes    [--workers 2]   consumers that read in no time, on a cluster
    python -m benchmarks.feeding busy                      a device of 50 pages/s, embedded and on a cluster
    python -m benchmarks.feeding idle      [--launchers 20]

The cluster is a PostgreSQL and a Redis of the tests' and one launcher, all on this machine and at default
settings; worker processes are real but for the reader, which sleeps for as long as a page takes. Rates are
those of the middle eight tenths of the pages, so that starting and ending do not count. Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from sqlalchemy import select

from fumikura.core.page import PageReference
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.queries import run_summary
from fumikura.core.store.upgrading import open_database, upgrade
from tests.servers import running_postgres, running_redis
from tests.simple_launcher import children, program, wait_until
from tests.simple_reader import HEIGHT, PAPER, RECIPE

DEVICE_PAGES_PER_S = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["passes", "busy", "idle"])
    parser.add_argument("--pages", type=int, help="[default: 6000 for passes, 1500 for busy]")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--launchers", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="feeding-") as folder, ExitStack() as stack:
        os.environ["SIMPLE_PAGE_S"] = str(1 / DEVICE_PAGES_PER_S if arguments.what == "busy" else 0)
        if arguments.what == "idle":
            print(idle(stack, arguments.launchers))
            return
        n_pages = arguments.pages or (6000 if arguments.what == "passes" else 1500)
        pages = draw_pages(Path(folder) / "pages", n_pages)
        n_workers = arguments.workers if arguments.what == "passes" else 1
        settings = Settings(devices="cpu", workers=n_workers, threads=1)
        kinds = ["cluster"] if arguments.what == "passes" else ["embedded", "cluster"]
        print("| | workers | pages/s | of the device |\n|---|---|---|---|")
        for kind in kinds:
            rate = read(stack, kind, settings, pages, Path(folder))
            share = f"{rate / DEVICE_PAGES_PER_S:.0%}" if arguments.what == "busy" else "–"
            print(f"| {kind} | {n_workers} | {rate:.1f} | {share} |", flush=True)


def draw_pages(folder: Path, n_pages: int) -> list[PageReference]:
    """Small pages, each with its number in the colour of a line, so that no two are the same."""
    folder.mkdir()
    pages = []
    for number in range(n_pages):
        path = folder / f"{number:06}.png"
        image = Image.new("RGB", (100, HEIGHT), PAPER)
        image.paste((number // 65536, number // 256 % 256, number % 256), (0, 10, 100, 12))
        image.save(path)
        data = path.read_bytes()
        pages.append(PageReference(str(folder), path.name, hashlib.sha256(data).hexdigest(), len(data), "b"))
    return pages


def read(stack: ExitStack, kind: str, settings: Settings, pages: list[PageReference], folder: Path) -> float:
    """Pages a second of a run of all pages."""
    if kind == "cluster":
        settings = stack.enter_context(cluster(settings))
    else:
        settings = settings.overridden(database_url=str(folder / "embedded.db"))
    upgrade(settings.database_url)
    engine = open_database(settings.database_url)
    run_id = add_run(engine, RECIPE, command="benchmarks.feeding")
    add_pages(engine, run_id, pages)
    finish_listing(engine, run_id)
    with program(["work"] if kind == "cluster" else ["run", str(run_id)], settings) as launcher:
        wait_until(lambda: run_summary(engine, run_id).is_finished, timeout_s=600)
        launcher.terminate()
        launcher.wait(20)
    assert run_summary(engine, run_id).done == len(pages)
    return steady_rate(engine)


def steady_rate(engine: Engine) -> float:
    finished_at = tables.reading.c.finished_at
    with engine.connect() as connection:
        times = list(connection.scalars(select(finished_at).order_by(finished_at)))
    first, last = len(times) // 10, len(times) * 9 // 10
    return (last - first) / (times[last] - times[first]).total_seconds()


def idle(stack: ExitStack, n_launchers: int) -> str:
    """What launchers without work ask of the database, in 30 s after they have all started."""
    settings = stack.enter_context(cluster(Settings(devices="cpu", workers=1, threads=1)))
    upgrade(settings.database_url)
    engine = open_database(settings.database_url)
    launchers = [stack.enter_context(program(["work"], settings)) for _ in range(n_launchers)]
    wait_until(lambda: all(children(launcher.pid) for launcher in launchers), timeout_s=300)
    time.sleep(20)  # until the workers are ready
    before, started_s = n_transactions(engine), time.monotonic()
    time.sleep(30)
    per_s = (n_transactions(engine) - before) / (time.monotonic() - started_s)
    for launcher in launchers:
        launcher.terminate()
    return f"| idle launchers | transactions/s |\n|---|---|\n| {n_launchers} | {per_s:.1f} |"


def n_transactions(engine: Engine) -> int:
    with engine.connect() as connection:
        counted = (
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        n: int = connection.exec_driver_sql(counted).scalar_one()
        return n


@contextmanager
def cluster(settings: Settings) -> Iterator[Settings]:
    with running_postgres(survives=True) as database, running_redis() as broker:
        yield settings.overridden(database_url=database.url, broker_url=broker.url)


if __name__ == "__main__":
    sys.exit(main())
