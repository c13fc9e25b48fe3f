"""Many pages read while everything breaks, and what must be true of the database afterwards."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import func, select

from fumikura.core.errors import DatabaseError
from fumikura.core.page import PageReference
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.transactions import read_transaction
from fumikura.core.store.upgrading import open_database
from fumikura.worker.launcher import run_locally
from tests.chaos import disasters, faults
from tests.chaos.cluster import Cluster, running_cluster
from tests.chaos.faults import Fault
from tests.chaos.pages import Book, draw_book
from tests.chaos.worker import COMMAND, recipe_for

LOOK_S = 0.2

Blow = Callable[[Cluster, random.Random], Fault]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is read, and how often what is broken.

    Attributes:
        database_survives: keep what was committed just before a crash of the database. Without, it is
            as if a copy took over that lags behind.
    """

    seed: int
    n_pages: int
    n_poison: int
    n_workers: int
    blows: Sequence[tuple[Blow, int]]
    database_survives: bool
    settings: Settings
    time_limit_s: float
    broker: str = "redis"


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        wrong: what should not be so, a line each.
        n_read: pages that workers read, those whose reading was lost with them included.
    """

    n_pages: int
    n_poison: int
    n_done: int = 0
    n_quarantined: int = 0
    n_failed: int = 0
    n_lost: int = 0
    n_doubled: int = 0
    n_different: int = 0
    n_read: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run_storm(plan: Plan, folder: Path, *, say: Callable[[str], None]) -> Outcome:
    """Read a book amid all that, read it again in peace, and compare."""
    chance = random.Random(plan.seed)
    book = draw_book(folder, n_pages=plan.n_pages, n_poison=plan.n_poison, chance=chance)
    outcome = Outcome(plan.n_pages, plan.n_poison)
    read_log = folder / "read.log"
    read_log.touch()
    with running_cluster(
        book.pages,
        n_workers=plan.n_workers,
        broker=plan.broker,
        database_survives=plan.database_survives,
        settings=plan.settings,
        environment={"CHAOS_READ_LOG": str(read_log)},
        folder=folder,
    ) as cluster:
        started_s = time.monotonic()
        outcome.faults = _break_and_wait(cluster, plan, chance, n_good=len(book.good), say=say)
        outcome.seconds = time.monotonic() - started_s
        outcome.wrong += cluster.wrong
        unrecovered = [fault.kind for fault in outcome.faults if fault.recovered_s is None]
        outcome.wrong += [f"{kind}: the others did not get over it" for kind in unrecovered]
        outcome.n_read = len(read_log.read_text().splitlines())
        exit_codes = cluster.stop()
        if any(exit_codes):
            outcome.wrong.append(f"launchers ended with {exit_codes}")
        _judge(cluster, book, outcome)
        stormy = fingerprints(cluster.engine)
    say(f"{outcome.n_done} pages done in {outcome.seconds:.0f} s; now the same in peace")
    peaceful = _read_in_peace(book.good, plan.settings, folder)
    outcome.n_different = sum(stormy.get(name) != print_ for name, print_ in peaceful.items())
    if outcome.n_different or stormy.keys() != peaceful.keys():
        outcome.wrong.append(f"{outcome.n_different} pages read otherwise than in peace")
    return outcome


def _break_and_wait(
    cluster: Cluster, plan: Plan, chance: random.Random, *, n_good: int, say: Callable[[str], None]
) -> list[Fault]:
    blows = [blow for blow, n_times in plan.blows for _ in range(n_times)]
    chance.shuffle(blows)
    # Spread over the run: not before something is read, nor when there is nothing left to break.
    when = sorted(chance.uniform(0.03, 0.85) * n_good for _ in blows)
    broken: list[Fault] = []
    deadline_s = time.monotonic() + plan.time_limit_s
    with _recoveries_noted(broken):
        while time.monotonic() < deadline_s:
            cluster.replace_the_dead()
            with suppress(DatabaseError):
                if len(broken) < len(blows) and cluster.n_done() >= when[len(broken)]:
                    fault = blows[len(broken)](cluster, chance)
                    broken.append(fault)
                    say(f"{cluster.n_done():5} done: {fault.kind}")
                if len(broken) == len(blows) and cluster.summary().is_finished:
                    return broken
            time.sleep(LOOK_S)
    say(f"not finished after {plan.time_limit_s:.0f} s: {cluster.summary()}")
    return broken


@contextmanager
def _recoveries_noted(broken: Sequence[Fault]) -> Iterator[None]:
    """Look in a thread whether faults are over: some blows take long themselves."""
    stop = threading.Event()

    def look() -> None:
        is_last = False
        while not is_last:
            is_last = stop.wait(LOOK_S)
            for fault in list(broken):
                with suppress(DatabaseError):
                    if fault.recovered_s is None and fault.is_over():
                        fault.recovered_s = time.monotonic()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _judge(cluster: Cluster, book: Book, outcome: Outcome) -> None:
    """Count what became of the pages, and note what should not be so."""
    summary = cluster.summary()
    outcome.n_done, outcome.n_quarantined = summary.done, summary.quarantined
    outcome.n_failed = summary.failed - summary.quarantined
    outcome.n_lost = summary.pages - summary.done - summary.failed
    outcome.n_doubled = _n_doubled(cluster.engine)
    for failure in failures(cluster.engine, cluster.run_id):
        kind = book.poison.get(failure.name)
        if kind is None:
            outcome.wrong.append(f"{failure.name} is no poison, and yet: {failure.reason}")
        else:
            outcome.reasons.setdefault(kind, []).append(failure.reason)
    expected = {
        "pages": (summary.pages, len(book.pages)),
        "done": (summary.done, len(book.good)),
        "quarantined": (summary.quarantined, len(book.poison)),
        "leased at the end": (summary.leased, 0),
        "lost": (outcome.n_lost, 0),
        "doubled": (outcome.n_doubled, 0),
    }
    outcome.wrong += [f"{found} {what}, not {due}" for what, (found, due) in expected.items() if found != due]


def _n_doubled(engine: Engine) -> int:
    """Readings of a page beyond its first, and readings with more or fewer characters than they count."""
    reading, character = tables.reading.c, tables.character.c
    twice = (reading.page_id, reading.recipe_id)
    doubled = select(func.count() - 1).select_from(tables.reading).group_by(*twice).having(func.count() > 1)
    found = select(func.count()).where(character.reading_id == reading.id).scalar_subquery()
    miscounted = select(func.count()).where(reading.n_characters != found)
    with read_transaction(engine) as connection:
        return sum(connection.scalars(doubled)) + connection.execute(miscounted).scalar_one()


def fingerprints(engine: Engine) -> dict[str, str]:
    """A digest of all that was read of each page, but for probabilities, by the page's name."""
    page, reading, character = tables.page.c, tables.reading.c, tables.character.c
    of_pages = (
        select(
            reading.id, page.name, page.width, page.height, reading.n_characters, reading.text, reading.mask
        )
        .join_from(tables.reading, tables.page)
        .where(reading.status == tables.Status.DONE)
    )
    kept = ("position", "column_number", "x", "y", "width", "height", "label")
    of_characters = select(character.reading_id, *(character[name] for name in kept)).order_by(
        character.reading_id, character.position
    )
    with read_transaction(engine) as connection:
        rows: dict[int, list[object]] = {}
        for reading_id, *values in connection.execute(of_characters):
            rows.setdefault(reading_id, []).append(values)
        return {
            name: hashlib.sha256(repr((values, rows.get(reading_id, []))).encode()).hexdigest()
            for reading_id, name, *values in connection.execute(of_pages)
        }


def _read_in_peace(pages: Sequence[PageReference], settings: Settings, folder: Path) -> dict[str, str]:
    calm = settings.overridden(database_url=str(folder / "peace.db"), workers=2)
    engine = open_database(calm.database_url)
    recipe: Recipe = recipe_for(calm)
    run_id = add_run(engine, recipe, command="peace")
    shelf, scans = str(folder / "shelf"), str(folder / "scans")
    add_pages(engine, run_id, [replace(page, archive=page.archive.replace(shelf, scans)) for page in pages])
    finish_listing(engine, run_id)
    run_locally(
        calm, engine, run_id, recipe, on_progress=lambda _: None, stop=threading.Event(), command=COMMAND
    )
    found = fingerprints(engine)
    engine.dispose()
    return found


#: Of the whole suite.
ALL_BLOWS: Sequence[tuple[Blow, int]] = (
    (faults.kill_worker, 7),
    (faults.kill_host, 3),
    (faults.freeze_host, 2),
    (faults.restart_broker, 2),
    (faults.empty_broker, 1),
    (faults.restart_database, 2),
    (faults.double_messages, 3),
    (disasters.lose_mount, 2),
    (disasters.refuse_writes, 1),
    (disasters.set_clock_back, 1),
    (disasters.two_operators, 2),
)

#: Those that only a Redis knows.
OF_REDIS = frozenset({disasters.refuse_writes})
