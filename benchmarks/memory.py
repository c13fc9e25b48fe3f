"""Read many pages with one worker process: does it grow, or become slower?

    python -m benchmarks.memory PAGES OUT [N]        with the weights that ship
    python -m benchmarks.memory PAGES OUT N --quick  with a reader that does nothing: all the rest

PAGES is a folder of JPEGs, read again and again, each time with other bytes behind their end. OUT is a
folder for them and the database. Prints Markdown: what the worker holds after each tenth of the pages, what
processor time a page of that tenth took, of the worker and of the run that feeds it, and by how much the
worker grows in a thousand, after a straight line through all but the first fifth of them.
"""

from __future__ import annotations

import argparse
import threading
import zipfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil

from fumikura.core.archives.listing import list_pages
from fumikura.core.recognition.recipe import recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.queries import RunSummary
from fumikura.core.store.upgrading import open_database
from fumikura.worker.launcher import run_locally
from fumikura.worker.supervision import COMMAND
from tests import simple_reader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("n_pages", type=int, nargs="?", default=2000)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    archive = _write_archive(arguments.pages, arguments.out, arguments.n_pages)
    samples = np.array(_read(archive, arguments.out / "memory.db", is_quick=arguments.quick))
    _report(*samples.T)


def _write_archive(pages: Path, out: Path, n_pages: int) -> Path:
    path = out / "memory.zip"
    images = [image.read_bytes() for image in sorted(pages.glob("*.jpg"))]
    with zipfile.ZipFile(path, "w") as archive:
        for number, data in enumerate(islice(cycle(images), n_pages)):
            archive.writestr(f"{number:05}.jpg", data + b"%d" % number)
    return path


def _read(archive: Path, database: Path, *, is_quick: bool) -> list[tuple[int, float, float]]:
    """Pages done, the worker's resident MiB, and all processor seconds so far; a few times a second."""
    settings = Settings().overridden(devices="cpu", database_url=str(database))
    recipe = simple_reader.RECIPE if is_quick else recipe_of(settings)
    engine = open_database(settings.database_url)
    run_id = add_run(engine, recipe, command="benchmarks.memory")
    add_pages(engine, run_id, list_pages([str(archive)], limits=settings.limits).pages)
    finish_listing(engine, run_id)
    samples: list[tuple[int, float, float]] = []
    run = psutil.Process()

    def look(summary: RunSummary) -> None:
        workers = run.children(recursive=True)
        held = sum(worker.memory_info().rss for worker in workers)
        times = [process.cpu_times() for process in (run, *workers)]
        samples.append((summary.done, held / 2**20, sum(time.user + time.system for time in times)))

    command = simple_reader.COMMAND if is_quick else COMMAND
    run_locally(settings, engine, run_id, recipe, on_progress=look, stop=threading.Event(), command=command)
    engine.dispose()
    return [sample for sample in samples if sample[0]]


def _report(n_done: np.ndarray, held_mib: np.ndarray, cpu_s: np.ndarray) -> None:
    print(f"| pages | MiB | CPU ms a page |\n|{'---|' * 3}")
    before = 0
    for n_pages in np.linspace(n_done[-1] / 10, n_done[-1], 10):
        last = np.flatnonzero(n_done <= n_pages)[-1]
        page_ms = 1000 * (cpu_s[last] - cpu_s[before]) / (n_done[last] - n_done[before])
        print(f"| {n_pages:.0f} | {held_mib[last]:.0f} | {page_ms:.1f} |")
        before = last
    is_warm = n_done > n_done[-1] / 5
    slope, _ = np.polyfit(n_done[is_warm], held_mib[is_warm], 1)
    print(f"\nGrowth in 1,000 pages: {1000 * slope:.1f} MiB; at most {held_mib.max():.0f} MiB")


if __name__ == "__main__":
    main()
