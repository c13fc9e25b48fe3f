"""How fast a page's characters go into both databases, by COPY and by what else there is.

    python -m benchmarks.inserts OUT

OUT is a folder for the SQLite file, which is removed at the end. A page has 150 characters and a transaction
of its own; the ways take turns. Prints Markdown: rows a second, and the processor time of this process
for a page, medians of 9 rounds of 25 pages.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, insert

from fumikura.core.page import Box, Character
from fumikura.core.store import tables
from fumikura.core.store.bulk import insert_rows
from fumikura.core.store.connecting import Engine
from fumikura.core.store.rows import character_rows
from fumikura.core.store.transactions import brief_transaction
from fumikura.core.store.upgrading import open_database, upgrade
from tests.servers import running_postgres
from tests.simple_store import make_pages, start_run

N_CHARACTERS, N_ROUNDS, N_PAGES = 150, 9, 25
_COLUMNS = [column.name for column in tables.character.columns]

Rows = list[tuple[Any, ...]]
Way = Callable[[Connection, Rows], None]


def by_sqlalchemy(connection: Connection, rows: Rows) -> None:
    # The JSON is text already, which its type would encode once more: that costs the same as encoding it.
    connection.execute(insert(tables.character), [dict(zip(_COLUMNS, row, strict=True)) for row in rows])


def by_driver(connection: Connection, rows: Rows) -> None:
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(_COLUMNS))
    connection.exec_driver_sql(f"INSERT INTO character ({', '.join(_COLUMNS)}) VALUES ({marks})", rows)


def by_store(connection: Connection, rows: Rows) -> None:
    insert_rows(connection, tables.character, rows)


_POSTGRESQL: Mapping[str, Way] = {
    "SQLAlchemy's insert": by_sqlalchemy,
    "executemany": by_driver,
    "COPY": by_store,
}
_SQLITE: Mapping[str, Way] = {"SQLAlchemy's insert": by_sqlalchemy, "executemany": by_store}


def main(out: str) -> None:
    print("| database | way | rows/s | processor ms/page |\n|---|---|---|---|")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _measure(f"sqlite:///{folder / 'inserts.db'}", _SQLITE)
    finally:
        for path in folder.glob("inserts.db*"):
            path.unlink()
    with running_postgres() as server:
        _measure(server.url, _POSTGRESQL)


def _measure(url: str, ways: Mapping[str, Way]) -> None:
    upgrade(url)
    engine = open_database(url)
    start_run(engine, make_pages(len(ways) * N_ROUNDS * N_PAGES))
    characters = _characters()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    reading_ids = count(1)
    for number in range(N_ROUNDS):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            started = time.perf_counter(), time.process_time()
            for reading_id in islice(reading_ids, N_PAGES):
                _save(engine, reading_id, characters, ways[name])
            seconds[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    engine.dispose()
    for name, measured in seconds.items():
        wall_s, processor_s = (median(times) / N_PAGES for times in zip(*measured, strict=True))
        print(
            f"| {engine.dialect.name} | {name} | {N_CHARACTERS / wall_s:,.0f} | {1000 * processor_s:.2f} |",
            flush=True,
        )


def _save(engine: Engine, reading_id: int, characters: list[Character], way: Way) -> None:
    with brief_transaction(engine) as connection:
        way(connection, character_rows(reading_id, characters))


def _characters() -> list[Character]:
    rng = random.Random(1)

    def label() -> str:
        return chr(0x4E00 + rng.randrange(4000))

    return [
        Character(
            Box(rng.randrange(2000), rng.randrange(2000), rng.randrange(100), rng.randrange(100)),
            label(),
            rng.random(),
            tuple((label(), rng.random()) for _ in range(4)),
            number // 18,
        )
        for number in range(N_CHARACTERS)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
