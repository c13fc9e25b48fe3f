"""Time what people and programs ask all the time, on a database that `benchmarks.big_store` filled.

    python -m benchmarks.big_store_questions --db URL

Each question is asked once to warm up and then several times; prints the median and the slowest in
milliseconds, and how many bytes a row of each large table takes with its indexes, as Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import islice

from sqlalchemy import func, select

from fumikura.core.export.excerpt import first_lines
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failure_reasons, failures, n_replaced
from fumikura.core.store.lookup import get_page
from fumikura.core.store.page_list import count_suspicious, find_pages
from fumikura.core.store.places import known_places
from fumikura.core.store.queries import list_runs, overview, run_scores_by_book, run_summary
from fumikura.core.store.scores import unscored
from fumikura.core.store.tables import Status
from fumikura.core.store.upgrading import open_database

TIMES = 7
LARGE = ("page", "page_source", "run_page", "reading", "character")


def questions(engine: Engine) -> dict[str, Callable[[], object]]:
    """What is asked, by what asks it."""
    newest = list_runs(engine, limit=1)[0].run
    with engine.connect() as connection:
        page, source = tables.page, tables.page_source.c
        last = connection.execute(select(func.max(page.c.id))).scalar_one()
        digest = connection.execute(select(page.c.digest).where(page.c.id == last // 2)).scalar_one()
        place = connection.execute(select(source.archive, source.member).where(source.id == last // 2)).one()
    return {
        "`run`'s polling: `run_summary`": lambda: run_summary(engine, newest),
        "`status`: the ten newest runs": lambda: list_runs(engine, limit=10),
        "`status`: `overview`": lambda: overview(engine),
        "`status`: why pages failed": lambda: failure_reasons(engine),
        "`status --run`: why its pages failed": lambda: failure_reasons(engine, newest),
        "`failed --limit 50`": lambda: list(failures(engine, limit=50)),
        "`failed --run --limit 50`": lambda: list(islice(failures(engine, newest, limit=50), 50)),
        "`show`: a page by ten digits of its digest": lambda: get_page(engine, digest[:10]),
        "`enqueue`: is this file known": lambda: known_places(engine, place.archive, [place.member]),
        "`failed --run`: pages whose files were replaced": lambda: n_replaced(engine, newest),
        "`run`, at its end: what has new truth": lambda: unscored(engine, newest),
        "`run`, at its end: scores": lambda: run_scores_by_book(engine, newest),
        "`run`, at its end: scores of pages that were learnt": lambda: run_scores_by_book(
            engine, newest, is_learnt=True
        ),
        "`run`, at its end: how many to look at": lambda: count_suspicious(engine, newest),
        "`run`, at its end: the first of these": lambda: find_pages(
            engine, run_id=newest, is_suspicious=True, limit=5
        ),
        "`run`, at its end: first lines": lambda: first_lines(engine, newest),
        **page_lists(engine, newest),
    }


def page_lists(engine: Engine, run_id: int) -> dict[str, Callable[[], object]]:
    """What `query pages` asks, by its options."""

    def ask(**conditions: object) -> Callable[[], object]:
        return lambda: find_pages(engine, **conditions)  # type: ignore[arg-type]

    return {
        "`query pages`": ask(),
        "… `--run`": ask(run_id=run_id),
        "… `--suspicious`": ask(is_suspicious=True),
        "… `--suspicious --sort confidence`": ask(is_suspicious=True, order="confidence"),
        "… `--suspicious --run --sort confidence`": ask(
            is_suspicious=True, run_id=run_id, order="confidence"
        ),
        "… `--sort confidence`": ask(order="confidence"),
        "… `--sort dice`": ask(order="dice"),
        "… `--max-dice 0.95`": ask(max_dice=0.95),
        "… `--status failed`": ask(status=Status.FAILED),
        "… `--status queued --run`": ask(status=Status.QUEUED, run_id=run_id),
    }


def measure(ask: Callable[[], object]) -> list[float]:
    """Milliseconds, several times, warm."""
    ask()
    taken = []
    for _ in range(TIMES):
        started_s = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - started_s))
    return taken


def bytes_a_row(engine: Engine) -> dict[str, float]:
    """Bytes on disk with all indexes, by table; PostgreSQL alone can tell."""
    if engine.dialect.name != "postgresql":
        return {}
    with engine.connect() as connection:
        sizes = {}
        for name in LARGE:
            n_rows = connection.execute(
                select(func.count()).select_from(tables.metadata.tables[name])
            ).scalar_one()
            size = connection.execute(select(func.pg_total_relation_size(name))).scalar_one()
            sizes[name] = size / max(1, n_rows)
        return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", required=True, metavar="URL")
    url = Settings().overridden(database_url=parser.parse_args().db).database_url
    engine = open_database(url)
    print("| question | median ms | slowest ms |\n|---|---|---|")
    for name, ask in questions(engine).items():
        taken = measure(ask)
        print(f"| {name} | {statistics.median(taken):.1f} | {max(taken):.1f} |", flush=True)
    for name, size in bytes_a_row(engine).items():
        print(f"{name}: {size:.0f} bytes a row")


if __name__ == "__main__":
    main()
