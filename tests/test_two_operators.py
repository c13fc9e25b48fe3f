"""Two commands at once on PostgreSQL: whichever stands still before a commit, nobody's pages are lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest
from sqlalchemy import event, select, text

from fumikura.core.errors import FumikuraError
from fumikura.core.page import PageReference, Scores
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgetting import doomed_by_archive, doomed_by_run, forget
from fumikura.core.store.leases import hand_back, return_leases
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import cancel, retry, run_summary
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.scores import save_scores
from fumikura.core.store.upgrading import open_database
from tests.simple_store import RECIPE, claim_pages, make_page, make_reading, make_truth, start_run

Command = Callable[[Engine], object]


@dataclass(frozen=True, slots=True)
class Scene:
    """A run asks for three pages: one waits, one a worker holds, one is done. Another just asks for them."""

    pages: list[PageReference]
    first: int
    second: int
    worker: str


@pytest.fixture
def engines(postgres_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Of two operators at two machines."""
    one, other = open_database(postgres_url), open_database(postgres_url)
    yield one, other
    one.dispose()
    other.dispose()


def make_scene(engine: Engine, number: int, *, is_held: bool = True) -> Scene:
    pages = [make_page(10 * number + place, archive=f"/scans/{number}.zip") for place in range(1, 4)]
    first, _ = start_run(engine, pages)
    worker, ids = f"host/{number}/1.00", reading_ids(engine, pages)
    claim_pages(engine, 2, after=ids[0], worker=worker)
    assert save_reading(engine, ids[2], make_reading("い"), worker=worker)
    if not is_held:
        assert save_failure(engine, ids[1], "is empty", worker=worker)
    return Scene(pages, first, add_run(engine, RECIPE, command="fumikura enqueue"), worker)


def reading_ids(engine: Engine, pages: list[PageReference]) -> list[int]:
    page, reading = tables.page.c, tables.reading.c
    wanted = select(reading.id).join(tables.page).where(page.digest.in_([one.digest for one in pages]))
    with engine.connect() as connection:
        return list(connection.scalars(wanted.order_by(reading.id)))


def meet(engines: tuple[Engine, Engine], n_commits: int, one: Command, other: Command) -> bool:
    """Let `one` stand still before a commit until `other` is done, or waits for it.

    False if `one` never comes to so many commits.
    """
    stands, goes_on, left = threading.Event(), threading.Event(), iter(range(n_commits))

    def stand(_connection: object) -> None:
        if next(left, None) is None and not stands.is_set():
            stands.set()
            assert goes_on.wait(30)

    event.listen(engines[0], "commit", stand)
    with ThreadPoolExecutor(2) as pool:
        standing = pool.submit(one, engines[0])
        while not stands.wait(0.01) and not standing.done():
            pass
        if is_met := stands.is_set():
            meeting = pool.submit(other, engines[1])
            wait_until_done_or_blocked(engines[0], meeting)
            goes_on.set()
            meeting.result(timeout=30)
        standing.result(timeout=30)
    event.remove(engines[0], "commit", stand)
    return is_met


def wait_until_done_or_blocked(engine: Engine, meeting: Future[object]) -> None:
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with engine.connect() as connection:
        while not meeting.done() and not connection.scalar(blocked):
            connection.rollback()
            time.sleep(0.01)


def asked(scene: Scene) -> Command:
    return lambda engine: add_pages(engine, scene.second, scene.pages)


def either_first(first: Command, second: Command) -> tuple[tuple[Command, Command], ...]:
    return (first, second), (second, first)


def play(
    engines: tuple[Engine, Engine],
    against: Callable[[Scene], Command],
    check: Callable[[Scene], None],
    *,
    prepare: Callable[[Engine, Scene], object] = lambda *_: None,
    is_held: bool = True,
) -> None:
    """Let `against` meet the second run's request in all orders, and check each time."""
    scenes = count(1)
    for order in (0, 1):
        for n_commits in count():
            scene = make_scene(engines[0], next(scenes), is_held=is_held)
            prepare(engines[0], scene)
            one, other = either_first(asked(scene), against(scene))[order]
            if not meet(engines, n_commits, one, other):
                assert n_commits > 0
                break
            check(scene)


def test_cancelling_a_run_leaves_the_pages_that_another_is_just_asking_for(
    engines: tuple[Engine, Engine],
) -> None:
    def check(scene: Scene) -> None:
        summary = run_summary(engines[0], scene.second)
        assert (summary.queued, summary.leased, summary.skipped, summary.cancelled) == (1, 1, 1, 0)

    play(engines, lambda scene: lambda engine: cancel(engine, scene.first), check)


@pytest.mark.parametrize(
    "give_back", [hand_back, lambda engine, worker: return_leases(engine, worker, 3)], ids=["stop", "death"]
)
def test_a_page_that_comes_back_to_a_cancelled_run_waits_for_the_one_that_asks_for_it(
    engines: tuple[Engine, Engine], give_back: Callable[[Engine, str], int]
) -> None:
    def check(scene: Scene) -> None:
        give_back(engines[0], scene.worker)  # what was just locked is left for the next time
        summary = run_summary(engines[0], scene.second)
        assert (summary.queued, summary.leased, summary.cancelled) == (2, 0, 0)

    play(
        engines,
        lambda scene: lambda engine: give_back(engine, scene.worker),
        check,
        prepare=lambda engine, scene: cancel(engine, scene.first),
    )


def test_a_page_that_comes_back_while_its_run_is_cancelled_does_not_wait(
    engines: tuple[Engine, Engine],
) -> None:
    for order in (0, 1):
        for n_commits in count():
            scene = make_scene(engines[0], 10 * order + n_commits + 1)
            commands = partial(hand_back, worker=scene.worker), partial(cancel, run_id=scene.first)
            one, other = either_first(*commands)[order]
            if not meet(engines, n_commits, one, other):
                break
            summary = run_summary(engines[0], scene.first)
            assert (summary.queued, summary.leased, summary.cancelled) == (0, 0, 2)


@pytest.mark.parametrize("whole_archive", [False, True], ids=["run", "archive"])
def test_forgetting_leaves_what_another_run_is_just_asking_for(
    engines: tuple[Engine, Engine], whole_archive: bool
) -> None:
    def forget_it(scene: Scene) -> Command:
        archive = scene.pages[0].archive
        doomed = (
            doomed_by_archive(engines[0], archive)
            if whole_archive
            else doomed_by_run(engines[0], scene.first)
        )
        return lambda engine: forget(engine, doomed)

    def check(scene: Scene) -> None:
        summary = run_summary(engines[0], scene.second)
        assert summary.pages == 3
        assert summary.queued + summary.skipped == 3

    if whole_archive:  # goes with all that was asked for before, so the request must come later
        play_forgetting_later_runs(engines, forget_it)
    else:
        play(engines, forget_it, check, is_held=False)


def play_forgetting_later_runs(engines: tuple[Engine, Engine], forget_it: Callable[[Scene], Command]) -> None:
    """Let a run that is begun while an archive is forgotten ask for all of its pages."""
    for n_commits in count():
        scene = make_scene(engines[0], n_commits + 1, is_held=False)
        begun: list[int] = []

        def begin(engine: Engine, scene: Scene = scene, begun: list[int] = begun) -> None:
            begun.append(start_run(engine, scene.pages)[0])

        if not meet(engines, n_commits, forget_it(scene), begin):
            assert n_commits > 1
            break
        summary = run_summary(engines[0], begun[0])
        # Before its first commit, forgetting knows of no later run, and the request waits for it.
        assert (summary.pages, summary.queued + summary.skipped) == (3, 3)


def test_retrying_and_asking_at_once_queue_a_page_once(engines: tuple[Engine, Engine]) -> None:
    def check(scene: Scene) -> None:
        summary = run_summary(engines[0], scene.second)
        assert (summary.queued, summary.failed, summary.skipped) == (2, 0, 1)

    play(engines, lambda scene: lambda engine: retry(engine, run_id=scene.first), check, is_held=False)


def test_a_run_that_is_cancelled_or_forgotten_takes_no_more_pages(engines: tuple[Engine, Engine]) -> None:
    scene, engine = make_scene(engines[0], 1, is_held=False), engines[0]
    add_pages(engine, scene.second, scene.pages[:1])

    cancel(engine, scene.second)
    with pytest.raises(FumikuraError, match=r"^run 2 was cancelled while its pages were being added; to go"):
        add_pages(engine, scene.second, scene.pages)
    forget(engine, doomed_by_run(engine, scene.second))
    with pytest.raises(FumikuraError, match=r"^run 2 was forgotten while its pages were being added; to go"):
        add_pages(engine, scene.second, scene.pages)

    assert run_summary(engine, scene.first).pages == 3


def test_a_reading_that_was_forgotten_gets_no_scores(engines: tuple[Engine, Engine]) -> None:
    scene, engine = make_scene(engines[0], 1, is_held=False), engines[0]
    done = reading_ids(engine, scene.pages)[2]
    forget(engine, doomed_by_run(engine, scene.first))

    save_scores(engine, done, Scores(n_truth=1), truth=make_truth("い"))

    assert reading_ids(engine, scene.pages) == []


def test_a_page_that_is_saved_while_another_run_asks_for_it_is_done_for_both(
    engines: tuple[Engine, Engine],
) -> None:
    scene, engine = make_scene(engines[0], 1), engines[0]
    ids = reading_ids(engine, scene.pages)

    assert meet(
        engines,
        0,
        asked(scene),
        lambda engine: save_reading(engine, ids[1], make_reading("ろ"), worker=scene.worker),
    )

    summary = run_summary(engine, scene.second)
    assert (summary.done, summary.skipped, summary.queued) == (1, 1, 1)
