"""Search millions of generated characters, in SQLite and in PostgreSQL: the first 100 hits of each search.

    python -m benchmarks.search OUT                      20 million characters, some 5 GB on disk for each
    python -m benchmarks.search OUT --rows 1000000       fewer
    python -m benchmarks.search OUT --postgres URL       a server of yours instead of the one of the tests

OUT is a folder for the SQLite file, which is removed at the end; a PostgreSQL of yours must be empty, and
the user its superuser. Pages have some 150 characters in columns of 18; 4,000 labels are as unequally
frequent as words are (Zipf's law), and some that are sought are put in on top. Prints Markdown:
milliseconds of the statements inside the database (on PostgreSQL what EXPLAIN ANALYZE says, planning
included, on SQLite executing and fetching) and of the whole search, median and worst of 20.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sqlalchemy import Connection, event, func, select, update

from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows, to_json
from fumikura.core.store.connecting import Engine
from fumikura.core.store.pages import PAGES_PER_TRANSACTION, add_pages, add_run
from fumikura.core.store.search import find_characters, match_phrase
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import write_transaction
from fumikura.core.store.upgrading import open_database, upgrade
from tests.servers import running_postgres

#: Without a look at the reading of each character; in memory.
_FILL_SOONER = {
    "postgresql": "SET LOCAL session_replication_role = replica",
    "sqlite": "PRAGMA cache_size = -400000",
}
N_TIMES = 20
N_HITS = 100
COLUMN_LENGTH = 18
#: With this shift the most frequent of 4,000 labels is 3 % of all.
ZIPF_SHIFT = 4
LABELS = [chr(0x3042 + number) for number in range(80)] + [chr(0x4E00 + number) for number in range(3920)]
#: Put in about 50 times each, and otherwise as frequent as chance has it.
RARE_LABEL = "龘"
RARE_PHRASE = LABELS[1000] + LABELS[1500]
PARTED_PHRASE = LABELS[0] + LABELS[1]
N_PLANTED = 50
MASK_BYTES = 4096

SEARCHES = {
    "a common label": LABELS[0],
    "a rare label": RARE_LABEL,
    "a rare phrase of two labels, across columns": RARE_PHRASE,
    "a phrase of two common labels": LABELS[2] + LABELS[3],
    "a rare phrase of two common labels, across columns": PARTED_PHRASE,
    "a common label before a rare one": LABELS[0] + RARE_LABEL,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--postgres", metavar="URL")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("| database | search | occurs | inside, ms | worst | whole, ms | worst |")
    print("|---|---|---|---|---|---|---|", flush=True)
    file = arguments.out / "search.db"
    try:
        _measure(f"sqlite:///{file}", arguments.rows)
    finally:
        for path in arguments.out.glob("search.db*"):
            path.unlink()
    with ExitStack() as stack:
        url = arguments.postgres or stack.enter_context(running_postgres()).url
        _measure(url, arguments.rows)


def _measure(url: str, n_rows: int) -> None:
    upgrade(url)
    engine = open_database(url)
    started_s = time.perf_counter()
    _fill(engine, n_rows)
    name = engine.dialect.name
    for what, text in SEARCHES.items():
        inside_ms, whole_ms = _time(engine, text)
        with engine.connect() as connection:
            n_found = connection.scalar(select(func.count()).select_from(match_phrase(text)))
        figures = " | ".join(f"{median(times):.1f} | {max(times):.1f}" for times in (inside_ms, whole_ms))
        print(f"| {name} | {what} | {n_found:,} | {figures} |", flush=True)
    print(f"\n{name}: filled and searched in {time.perf_counter() - started_s:.0f} s\n", flush=True)
    engine.dispose()


def _fill(engine: Engine, n_rows: int) -> None:
    n_pages = n_rows // 150
    rng = np.random.default_rng(1)
    run_id = add_run(engine, Recipe("5" * 64, "c" * 64), command="benchmarks.search")
    mask = rng.bytes(MASK_BYTES)
    for first in range(1, n_pages + 1, PAGES_PER_TRANSACTION):
        numbers = range(first, min(first + PAGES_PER_TRANSACTION, n_pages + 1))
        add_pages(engine, run_id, [_page(number) for number in numbers])
        done = {
            "status": Status.DONE,
            "finished_at": datetime.now(UTC),
            "n_characters": 150,
            "mean_confidence": 0.9,
            "text": "の" * 150,
            "mask": mask,
        }
        with write_transaction(engine) as connection:
            connection.exec_driver_sql(_FILL_SOONER[engine.dialect.name])
            is_read = tables.reading.c.id.between(numbers[0], numbers[-1])
            connection.execute(update(tables.reading).where(is_read).values(done))
            insert_rows(connection, tables.character, _characters(rng, numbers, n_pages))
    if engine.dialect.name == "postgresql":
        # As its own daemon does in time.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _page(number: int) -> PageReference:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return PageReference("/scans/all.zip", f"{number:07}.jpg", digest, 500_000, f"book {number // 100}")


def _characters(rng: np.random.Generator, pages: range, n_pages: int) -> list[tuple[Any, ...]]:
    """Rows of the table `character` for readings that have the numbers of their pages."""
    lengths = rng.integers(120, 181, len(pages))
    n = int(lengths.sum())
    reading_id = np.repeat(np.asarray(pages), lengths)
    position = np.arange(n) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shares = 1 / (np.arange(len(LABELS)) + 1 + ZIPF_SHIFT)
    chosen = rng.choice(len(LABELS), n, p=shares / shares.sum())
    labels = np.asarray([*LABELS, RARE_LABEL])[_planted(chosen, reading_id, position, n_pages)]
    pool = [_alternatives(rng) for _ in range(1000)]
    alternatives = [pool[index] for index in rng.integers(len(pool), size=n).tolist()]
    places = np.stack(
        [
            reading_id,
            position,
            position // COLUMN_LENGTH,
            1800 - 100 * (position // COLUMN_LENGTH),
            100 * (position % COLUMN_LENGTH),
            *rng.integers(30, 100, (2, n)),
        ]
    )
    labels = labels.tolist()
    ends = position[1:] == 0
    following = [None if is_end else label for is_end, label in zip(ends.tolist(), labels[1:], strict=True)]
    confidences = rng.random(n).tolist()
    return list(zip(*places.tolist(), labels, confidences, alternatives, [*following, None], strict=True))


def _planted(chosen: np.ndarray, reading_id: np.ndarray, position: np.ndarray, n_pages: int) -> np.ndarray:
    """The labels' numbers, with those that are sought where they are to stand."""
    # Two of the most frequent labels that hardly ever follow each other: the hardest case for the join.
    meets = (chosen[:-1] == 0) & (chosen[1:] == 1)
    chosen[1:][meets] = 2
    is_chosen_page = reading_id % max(1, n_pages // N_PLANTED) == 0
    last = COLUMN_LENGTH - 1  # the phrases stand across a column break
    for place, number in (
        (7, len(LABELS)),
        (last, 1000),
        (last + 1, 1500),
        (3 * last + 2, 0),
        (3 * last + 3, 1),
    ):
        chosen[is_chosen_page & (position == place)] = number
    return chosen


def _alternatives(rng: np.random.Generator) -> str:
    labels = rng.choice(LABELS, 4).tolist()
    return to_json(
        [[label, round(share, 4)] for label, share in zip(labels, rng.random(4).tolist(), strict=True)]
    )


def _time(engine: Engine, text: str) -> tuple[list[float], list[float]]:
    """Milliseconds of the statements in the database, and of the whole search, of N_TIMES each."""
    with _noted(engine) as statements:
        find_characters(engine, text, limit=N_HITS)
    inside_ms = [_inside(engine, statements) for _ in range(N_TIMES)]
    whole_ms = [_milliseconds(lambda: find_characters(engine, text, limit=N_HITS)) for _ in range(N_TIMES)]
    return inside_ms, whole_ms


@contextmanager
def _noted(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement != "BEGIN":
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def _inside(engine: Engine, statements: list[tuple[str, Any]]) -> float:
    """Milliseconds of a search's statements, in a transaction as they were sent."""
    work = _explained if engine.dialect.name == "postgresql" else _executed
    milliseconds = 0.0
    with engine.connect() as connection:
        for statement, parameters in statements:
            if statement.startswith("SELECT"):
                milliseconds += work(connection, statement, parameters)
            else:
                connection.exec_driver_sql(statement, parameters)
    return milliseconds


def _explained(connection: Connection, statement: str, parameters: Any) -> float:
    answer = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    (plan,) = answer.scalar_one()
    return float(plan["Planning Time"] + plan["Execution Time"])


def _executed(connection: Connection, statement: str, parameters: Any) -> float:
    return _milliseconds(lambda: connection.exec_driver_sql(statement, parameters).all())


def _milliseconds(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
