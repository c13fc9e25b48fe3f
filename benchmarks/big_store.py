"""Fill an empty database with the rows of a large archive, so that statements can be timed on it.

    python -m benchmarks.big_store --db URL --readings 10000000 --done 9000000

By SQL alone, so that ten million readings take minutes (and some 10 GB of disk). The first ids are done,
evenly mixed with those that failed; then come those that are leased, and the rest waits. What the planner
knows of the tables is a choice: the statistics are those of the end, or those of a night that began with
a tenth of the rows, of which it had seen each waiting, or each done. Nothing makes new ones afterwards.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select, text

from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.pages import add_run, finish_listing
from fumikura.core.store.tallies import count_again
from fumikura.core.store.upgrading import open_database, upgrade

RECIPE = Recipe(segmenter_digest="5" * 64, classifier_digest="c" * 64)
#: Workers that hold leases, each of so many pages.
N_LEASED, LEASED_A_WORKER = 256, 8
CHARACTERS_A_PAGE = 10
ROWS_A_STATEMENT = 200_000
_FILLED = ("page", "page_source", "run_page", "reading")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to put in.

    Attributes:
        n_failed: of the readings that are not done.
        n_runs: which ask for equal shares of the pages, in their order.
        n_characters: rows, for the first readings that are done.
        one_in: of so many readings that are done one has truth and scores, and another should be looked at.
        statistics: "fresh", "all-queued" or "all-done".
    """

    n_readings: int
    n_done: int
    n_failed: int
    n_runs: int = 10
    n_characters: int = 100_000
    one_in: int = 100
    statistics: str = "fresh"


def fill(engine: Engine, plan: Plan) -> None:
    """Put all rows in; the tables must be there, and empty."""
    for _ in range(plan.n_runs):
        finish_listing(engine, add_run(engine, RECIPE, command="fumikura enqueue /scans"))
    n_before = plan.n_readings // 10
    with _without_indexes(engine), _without_triggers(engine):
        if plan.statistics != "fresh":
            _fill_pages(engine, plan, 1, n_before)
            _before_the_night(engine, plan, n_before)
        first = 1 if plan.statistics == "fresh" else n_before + 1
        _fill_pages(engine, plan, first, plan.n_readings)
        _execute(engine, _CHARACTERS, n_pages=plan.n_characters // CHARACTERS_A_PAGE)
        for statement in (_TRUTHS, _SCORES, _SUSPICIONS):
            _execute(engine, statement, one_in=plan.one_in)
    with engine.begin() as connection:
        count_again(connection)
    _set_sequences(engine)
    if plan.statistics == "fresh":
        _analyze(engine)


def _fill_pages(engine: Engine, plan: Plan, first: int, last: int) -> None:
    for start in range(first, last + 1, ROWS_A_STATEMENT):
        numbers = {"first": start, "last": min(start + ROWS_A_STATEMENT - 1, last)}
        for statement in (_PAGES, _SOURCES, _REQUESTS, _READINGS):
            _execute(engine, statement, **numbers, **_statuses(plan), n_a_run=_pages_a_run(plan))
        print(f"\r{numbers['last']:,} of {plan.n_readings:,} pages", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _statuses(plan: Plan) -> dict[str, int]:
    """Where the statuses of readings begin and end."""
    n_finished = plan.n_done + plan.n_failed
    return {
        "n_finished": n_finished,
        "n_started": min(n_finished + N_LEASED, plan.n_readings),
        "fails_each": n_finished // plan.n_failed if plan.n_failed else n_finished + 1,
        "a_worker": LEASED_A_WORKER,
    }


def _pages_a_run(plan: Plan) -> int:
    return -(-plan.n_readings // plan.n_runs)


def _before_the_night(engine: Engine, plan: Plan, n_before: int) -> None:
    """Take the statistics of the first rows in the state that the plan says, and no others later."""
    if plan.statistics == "all-queued":
        _execute(engine, "UPDATE reading SET status = 'queued', finished_at = NULL, worker = NULL")
    _analyze(engine)
    if engine.dialect.name == "postgresql":
        for table in _FILLED:
            _execute(engine, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    if plan.statistics == "all-queued":
        _execute(engine, "DELETE FROM reading")
        _execute(engine, _READINGS, first=1, last=n_before, **_statuses(plan), n_a_run=_pages_a_run(plan))


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """Build the indexes after the rows, which takes a fraction of the time."""
    indexes = [index for name in _FILLED for index in tables.metadata.tables[name].indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
    yield
    for index in indexes:
        with engine.begin() as connection:
            index.create(connection)


@contextmanager
def _without_triggers(engine: Engine) -> Iterator[None]:
    """Let no trigger count each row, since all are counted at the end; PostgreSQL has a setting for it."""
    if engine.dialect.name != "sqlite":
        yield
        return
    with engine.begin() as connection:
        triggers = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    with engine.begin() as connection:
        for _, made_by in triggers:
            connection.exec_driver_sql(made_by)


def _execute(engine: Engine, statement: str, **values: int) -> None:
    is_sqlite = engine.dialect.name == "sqlite"
    forms = _SQLITE if is_sqlite else _POSTGRESQL
    with engine.begin() as connection:
        if not is_sqlite:
            connection.exec_driver_sql(
                "SET LOCAL session_replication_role = replica"
            )  # without a look at keys
        sql = text(statement.format(**forms))
        connection.execute(sql, {name: values[name] for name in sql.compile().params})


def _set_sequences(engine: Engine) -> None:
    """Let the next row that is added get the next id."""
    if engine.dialect.name == "postgresql":
        for name in ("page", "page_source", "reading"):
            set_to = f"setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))"
            _execute(engine, f"SELECT {set_to}")


def _analyze(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE")


_POSTGRESQL = {
    "series": "FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS series(i)",
    "digest": "md5(i::text) || md5((-i)::text)",
    "name": "lpad(i::text, 9, '0')",
    "now": "now()",
    "recipe": "(SELECT min(id) FROM recipe)",
    "json": "CAST('[[\"ぬ\",0.1]]' AS json)",
}
_SQLITE = {
    "series": "FROM (WITH RECURSIVE up(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM up WHERE i < :last)"
    " SELECT i FROM up) AS series",
    "digest": "lower(hex(randomblob(32)))",
    "name": "printf('%09d', i)",
    "now": "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "recipe": "(SELECT min(id) FROM recipe)",
    "json": "'[[\"ぬ\",0.1]]'",
}
_PAGES = """
    INSERT INTO page (id, digest, name, book, size_bytes, width, height, added_at)
    SELECT i, {digest}, {name}, 'book ' || (i / 100), 500000, 2000, 3000, {now} {series}
"""
_SOURCES = """
    INSERT INTO page_source (id, page_id, archive, member, seen_at, place)
    SELECT i, i, '/scans/' || (i / 100) || '.zip', {name} || '.jpg', {now}, {digest} {series}
"""
_REQUESTS = """
    INSERT INTO run_page (run_id, page_id, was_done) SELECT 1 + (i - 1) / :n_a_run, i, false {series}
"""
_IS_FINISHED, _FAILED = "i <= :n_finished", "i % :fails_each = 0"
_READINGS = f"""
    INSERT INTO reading (id, page_id, recipe_id, status, attempts, worker, lease_until, lease_size,
        finished_at, error, n_characters, mean_confidence, text)
    SELECT i, i, {{recipe}},
        CASE WHEN {_IS_FINISHED} AND {_FAILED} THEN 'failed' WHEN {_IS_FINISHED} THEN 'done'
            WHEN i <= :n_started THEN 'leased' ELSE 'queued' END,
        0,
        CASE WHEN i <= :n_started THEN 'host/' || (i % 100 / :a_worker) || '/1.00' END,
        CASE WHEN {_IS_FINISHED} THEN NULL WHEN i <= :n_started THEN {{now}} END,
        CASE WHEN {_IS_FINISHED} THEN NULL WHEN i <= :n_started THEN :a_worker END,
        CASE WHEN {_IS_FINISHED} THEN {{now}} END,
        CASE WHEN {_IS_FINISHED} AND {_FAILED} THEN {{name}} || '.jpg is no longer there' END,
        CASE WHEN {_IS_FINISHED} AND NOT {_FAILED} THEN 150 END,
        CASE WHEN {_IS_FINISHED} AND NOT {_FAILED} THEN 0.5 + (i * 7919 % 5000) / 10000.0 END,
        CASE WHEN {_IS_FINISHED} AND NOT {_FAILED} THEN 'なる' END
    {{series}}
"""
_CHARACTERS = f"""
    INSERT INTO character (reading_id, position, column_number, x, y, width, height, label, confidence,
        alternatives, next_label)
    SELECT reading.id, place.position, 0, 100, 50 * place.position, 40, 40, 'な', 0.9, {{json}}, NULL
    FROM (SELECT id FROM reading WHERE status = 'done' ORDER BY id LIMIT :n_pages) AS reading,
        ({" UNION ALL ".join(f"SELECT {n} AS position" for n in range(CHARACTERS_A_PAGE))}) AS place
"""
_TRUTHS = """
    INSERT INTO truth (page_id, digest, is_partial, text)
    SELECT page_id, 'truth', false, 'なる' FROM reading WHERE status = 'done' AND id % :one_in = 1
"""
_SCORES = """
    INSERT INTO score (reading_id, truth_digest, pixel_tp, pixel_fp, pixel_fn, pixel_tn,
        n_truth, n_found, n_matched, n_right, n_right_as_written)
    SELECT reading.id, truth.digest, 900 + reading.id % 97, 50, 50, 9000, 150, 150, 140, 130, 130
    FROM truth JOIN reading ON reading.page_id = truth.page_id
"""
_SUSPICIONS = """
    INSERT INTO suspicion (reading_id, reasons)
    SELECT id, 'low confidence' FROM reading WHERE status = 'done' AND id % :one_in = 2
"""


def count(connection: Connection) -> dict[str, int]:
    status = tables.reading.c.status
    return dict(connection.execute(select(status, func.count()).group_by(status)).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", required=True, metavar="URL")
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--done", type=int, default=9_000_000)
    parser.add_argument("--failed", type=int, help="[default: three in a hundred]")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--statistics", choices=["fresh", "all-queued", "all-done"], default="fresh")
    arguments = parser.parse_args()
    n_failed = arguments.readings * 3 // 100 if arguments.failed is None else arguments.failed
    if arguments.done + n_failed + N_LEASED > arguments.readings:
        parser.error("--done and --failed leave no reading that waits")
    url = Settings().overridden(database_url=arguments.db).database_url
    upgrade(url)
    engine = open_database(url)
    with engine.connect() as connection:
        if connection.scalar(select(func.count()).select_from(tables.page)):
            parser.error("the database must be empty")
    started_s = time.monotonic()
    plan = Plan(arguments.readings, arguments.done, n_failed, arguments.runs, statistics=arguments.statistics)
    fill(engine, plan)
    with engine.connect() as connection:
        found = ", ".join(f"{n:,} {status}" for status, n in sorted(count(connection).items()))
    print(f"{found}; filled in {time.monotonic() - started_s:.0f} s")


if __name__ == "__main__":
    main()
