"""What it costs to look into the queue and to claim pages, beside millions of readings that are done.

    python -m benchmarks.claims --db URL [--db URL …]

Each database is one that benchmarks.big_store filled, and needs nothing but time: all that is claimed here is
handed back at once. Prints Markdown: milliseconds, median and worst of 50 after 5 that do not count. The
pages of the first run are all done, so that a claim for it walks along all that waits for others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

from sqlalchemy import func, select

from benchmarks.big_store import RECIPE
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import hand_back, renew, return_expired
from fumikura.core.store.queue import glance, n_waiting_pages
from fumikura.core.store.upgrading import open_database

N_TIMES, N_WARM_UP = 50, 5
WORKER = "benchmark/1/1.00"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", action="append", required=True, metavar="URL")
    print("| database | what | median, ms | worst, ms |\n|---|---|---|---|")
    for url in parser.parse_args().db:
        engine = open_database(Settings().overridden(database_url=url).database_url)
        with engine.connect() as connection:
            first_run, last_run = connection.execute(
                select(func.min(tables.run.c.id), func.max(tables.run.c.id))
            ).one()
        for what, work in _works(engine, first_run=first_run, last_run=last_run).items():
            times = [_milliseconds(engine, work) for _ in range(N_WARM_UP + N_TIMES)][N_WARM_UP:]
            name = engine.dialect.name
            print(f"| {name} | {what} | {median(times):.1f} | {max(times):.1f} |", flush=True)
        engine.dispose()


def _works(engine: Engine, *, first_run: int, last_run: int) -> dict[str, Callable[[], object]]:
    def take(run_id: int | None = None) -> list[Claim]:
        return claim(
            engine, recipe_digest=RECIPE.digest, worker=WORKER, lease_s=600, n_pages=8, run_id=run_id
        )

    return {
        "claim 8 pages": take,
        "claim 8 pages of the last run": lambda: take(last_run),
        "claim of a run that is done": lambda: take(first_run),
        "renew the leases": lambda: renew(engine, "host/7/1.00", range(1, 17), lease_s=600),
        "look whether a page waits, and who reads": lambda: glance(engine, RECIPE.digest),
        "the same for the last run": lambda: glance(engine, RECIPE.digest, run_id=last_run),
        "count up to 800 that wait": lambda: n_waiting_pages(engine, RECIPE.digest, most=800),
        "return expired leases": lambda: return_expired(engine, max_attempts=3),
    }


def _milliseconds(engine: Engine, work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    milliseconds = 1000 * (time.perf_counter() - started_s)
    hand_back(engine, WORKER)
    return milliseconds


if __name__ == "__main__":
    main()
