"""A chunk's way through a worker, with a real store and a reader that does what colours say."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fumikura.core.errors import DatabaseError
from fumikura.core.page import Box, LabelledBox, PageImage, PageReference, Reading, Truth
from fumikura.core.settings import Settings
from fumikura.core.store import saving, tables
from fumikura.core.store.claiming import Claim, claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.leases import hand_back
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import RunSummary, run_scores_by_book, run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.worker.outages import Stopped
from fumikura.worker.stream import Stream
from fumikura.worker.writing import MOST_TOGETHER
from tests.simple_reader import BREAKS_DEVICE, FILLS_MEMORY, RAISES, RECIPE, SimpleReader, draw_pages
from tests.simple_store import claim_pages


@dataclass
class Desk:
    """A run of some pages, and one worker's stream to read them with."""

    engine: Engine
    run_id: int
    reader: SimpleReader
    stream: Stream
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def summary(self) -> RunSummary:
        return run_summary(self.engine, self.run_id)

    @property
    def reasons(self) -> dict[str, str]:
        return {failure.name: failure.reason or "" for failure in failures(self.engine, run_id=self.run_id)}


def make_desk(
    tmp_path: Path,
    pages: Sequence[PageReference],
    *,
    reader: SimpleReader | None = None,
    **settings: Any,
) -> Desk:
    engine = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    run_id = add_run(engine, RECIPE, command="run pages")
    truths = settings.pop("truths", {})
    add_pages(engine, run_id, pages, truths=truths)
    reader, stop = reader or SimpleReader(), threading.Event()
    chosen = Settings().overridden(**{"pages_per_batch": 2, "threads": 2, **settings})
    new = Stream(engine, reader, settings=chosen, worker="here", stop=stop)
    return Desk(engine, run_id, reader, new, stop)


def test_pages_are_read_in_groups_and_saved(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 5))

    desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.characters) == (5, 10)
    assert desk.reader.group_sizes == [2, 2, 1]


def test_a_message_in_vain_reads_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    desk.stream.read_waiting()

    desk.stream.read_waiting()

    assert desk.reader.group_sizes == [2]
    assert desk.summary.characters == 4


def test_what_two_workers_read_at_once_each_reads_another_part_of(tmp_path: Path, database_url: str) -> None:
    engine = open_database(database_url)
    run_id = add_run(engine, RECIPE, command="run pages")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 6))
    readers = {worker: SimpleReader() for worker in ("here", "there")}
    barrier = threading.Barrier(len(readers))

    def read_all(worker: str) -> None:
        chosen = Settings(pages_per_batch=2, threads=1)
        stream = Stream(engine, readers[worker], settings=chosen, worker=worker, stop=threading.Event())
        barrier.wait()
        stream.read_waiting()

    with ThreadPoolExecutor() as threads:
        list(threads.map(read_all, readers))

    assert sum(sum(reader.group_sizes) for reader in readers.values()) == 6
    assert run_summary(engine, run_id).done == 6
    engine.dispose()


def test_a_page_that_cannot_be_decoded_fails_with_its_reason_and_the_others_are_read(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path / "book", 4)
    (tmp_path / "book" / "page_1.png").unlink()
    (tmp_path / "book" / "page_2.png").write_bytes(b"another image")
    desk = make_desk(tmp_path, pages)

    desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.failed) == (2, 2)
    assert set(desk.reasons) == {"page_1", "page_2"}
    assert "no longer the image that was added" in desk.reasons["page_2"]


def test_a_group_that_cannot_be_read_is_read_page_by_page_and_what_fails_is_not_tried_again(
    tmp_path: Path,
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4, page_1=RAISES))

    desk.stream.read_waiting()

    assert desk.summary.done == 3
    assert list(desk.reasons) == ["page_1"]
    assert "RuntimeError: blue pages cannot be read" in desk.reasons["page_1"]
    assert desk.reader.group_sizes == [2, 1, 1, 2]
    assert desk.summary.queued == 0


def test_a_page_that_takes_too_much_memory_comes_again_alone_and_is_quarantined_after_three_attempts(
    tmp_path: Path,
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4, page_1=FILLS_MEMORY))

    desk.stream.read_waiting()

    # The others first; then alone, three times.
    assert desk.reader.group_sizes == [2, 1, 1, 2, 1, 1, 1]
    assert (desk.summary.done, desk.summary.quarantined) == (3, 1)
    assert "more memory than there is" in desk.reasons["page_1"]
    (failure,) = failures(desk.engine)
    assert failure.attempts == 3


def test_pages_with_truth_get_scores(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path / "book", 2)
    # SimpleReader finds 人 and 口, their centres at (5, 7) and (13, 7).
    boxes = (LabelledBox(Box(4, 2, 6, 6), "人"), LabelledBox(Box(4, 10, 6, 6), "日"))
    desk = make_desk(tmp_path, pages, truths={pages[0].digest: Truth(boxes=boxes)})

    desk.stream.read_waiting()

    ((_, scores),) = run_scores_by_book(desk.engine, desk.run_id)
    assert (scores.n_truth, scores.n_matched, scores.n_right) == (2, 2, 1)


class StoppingReader(SimpleReader):
    """Tells its worker to stop while it reads."""

    stop: threading.Event

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        self.stop.set()
        return super().read(pages)


def test_a_worker_told_to_stop_saves_what_it_read_and_hands_back_the_rest(tmp_path: Path) -> None:
    reader = StoppingReader()
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 5), reader=reader)
    reader.stop = desk.stop

    with pytest.raises(Stopped):
        desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.queued, desk.summary.leased) == (2, 3, 0)


def test_a_stopped_worker_claims_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    desk.stop.set()

    with pytest.raises(Stopped):
        desk.stream.read_waiting()

    assert desk.summary.queued == 2
    assert desk.reader.group_sizes == []


def test_pages_of_another_worker_are_left_to_it(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 3))
    claim_pages(desk.engine, 2, recipe=RECIPE, worker="other")

    desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.leased) == (1, 2)


def test_an_outage_of_the_database_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    outages = iter([DatabaseError("away"), DatabaseError("away")])
    save = saving.save_readings

    def save_after_outages(*arguments: Any, **more: Any) -> set[int]:
        for outage in outages:
            raise outage
        return save(*arguments, **more)

    monkeypatch.setattr("fumikura.worker.stream.save_readings", save_after_outages)
    monkeypatch.setattr("fumikura.worker.outages.pause_s", lambda _n: 0.01)

    desk.stream.read_waiting()

    assert desk.summary.done == 2
    assert desk.reader.group_sizes == [2]


def test_pages_that_are_read_while_others_are_saved_are_saved_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 6))
    sizes, save = [], saving.save_readings
    all_are_read = threading.Event()

    class Reader(SimpleReader):
        def read(self, pages: Sequence[PageImage]) -> list[Reading]:
            readings = super().read(pages)
            if sum(self.group_sizes) == 4:
                all_are_read.set()
            return readings

    def save_when_four_are_read(engine: Engine, results: Sequence[saving.Result], *, worker: str) -> set[int]:
        all_are_read.wait(10)
        time.sleep(0.05)  # until the last of them is handed over
        sizes.append(len(results))
        return save(engine, results, worker=worker)

    monkeypatch.setattr("fumikura.worker.stream.save_readings", save_when_four_are_read)
    desk.stream._reader = Reader()
    desk.stream.read_waiting()

    assert sum(sizes) == desk.summary.done == 6
    assert max(sizes) >= 3


def test_a_page_that_cannot_be_saved_fails_alone_among_those_it_was_saved_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 6), pages_per_batch=6)
    save = saving.save_readings

    def refuse_the_third(engine: Engine, results: Sequence[saving.Result], *, worker: str) -> set[int]:
        time.sleep(0.05)
        if any(result.reading_id == 3 for result in results):
            raise ValueError("no such character")
        return save(engine, results, worker=worker)

    monkeypatch.setattr("fumikura.worker.stream.save_readings", refuse_the_third)
    desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.failed, desk.summary.leased) == (5, 1, 0)
    assert "no such character" in desk.reasons["page_2"]
    assert desk.stream.in_hand == ()


def test_a_broken_device_ends_the_process_and_fails_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def end(_code: int) -> None:
        raise Ended

    monkeypatch.setattr("fumikura.worker.emergency_exit.os._exit", end)
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2, page_0=BREAKS_DEVICE))

    with pytest.raises(Ended):
        desk.stream.read_waiting()

    assert (desk.summary.failed, desk.summary.leased) == (0, 2)


def test_giving_up_brings_the_chunk_back_in_halves(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4))
    claim_pages(desk.engine, 4, recipe=RECIPE, worker="here")

    desk.stream.give_up()

    assert (desk.summary.queued, desk.summary.leased) == (4, 0)


class LookingReader(SimpleReader):
    """Notes what its worker has in hand at each group."""

    stream: Stream

    def __init__(self) -> None:
        super().__init__()
        self.in_hand: list[tuple[int, ...]] = []

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        time.sleep(0.05)  # for as long as a claim takes
        self.in_hand.append(self.stream.in_hand)
        return super().read(pages)


def test_the_device_does_not_see_where_a_claim_ends(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 9), chunk_size=3)

    assert desk.stream.read_waiting() == 9

    assert desk.reader.group_sizes == [2, 2, 2, 2, 1]
    assert desk.summary.done == 9


def test_a_worker_holds_what_it_soon_reads_and_leaves_the_rest_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.worker.hand.CLAIM_LASTS_S", 0.01)
    reader = LookingReader()
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 60), reader=reader, chunk_size=4)
    reader.stream = desk.stream

    desk.stream.read_waiting()

    # A group that is read, one that is decoded, a claim; and what is being written.
    assert max(map(len, reader.in_hand)) <= 2 + 2 + 4 + MOST_TOGETHER
    assert desk.stream.in_hand == ()


def test_a_fast_worker_claims_more_at_once_but_not_because_little_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 40), chunk_size=2)
    wanted: list[int] = []

    def noting(engine: Engine, *, n_pages: int, **options: Any) -> list[Claim]:
        wanted.append(n_pages)
        return claim(engine, n_pages=n_pages, **options)

    monkeypatch.setattr("fumikura.worker.hand.claim", noting)
    desk.stream.read_waiting()
    desk.stream.read_waiting()

    # 2 + 4 + 8 + 16 of 40, ten of 16, and none; then it begins anew.
    assert wanted[:5] == [2, 4, 8, 16, 16]
    assert set(wanted[5:-1]) <= {16}
    assert wanted[-1] == 2


def test_a_suspect_is_read_with_no_more_company_than_it_may_have(tmp_path: Path) -> None:
    reader = LookingReader()
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 8), reader=reader, chunk_size=4)
    reader.stream = desk.stream
    with desk.engine.begin() as connection:
        suspects = tables.reading.c.id.in_([3, 4])
        connection.execute(update(tables.reading).where(suspects).values(chunk_limit=1))

    desk.stream.read_waiting()

    assert desk.summary.done == 8
    assert {hand for hand in reader.in_hand if not {3, 4}.isdisjoint(hand)} == {(3,), (4,)}


def test_only_pages_of_the_run_are_read_if_one_is_named(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path / "book", 5)
    desk = make_desk(tmp_path, pages)
    other = add_run(desk.engine, RECIPE, command="run some")
    add_pages(desk.engine, other, pages[3:])

    desk.stream.read_waiting(other)

    assert (run_summary(desk.engine, other).done, desk.summary.done) == (2, 2)


def test_what_comes_back_meanwhile_is_read_in_the_same_turn(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 6), chunk_size=2)
    claim_pages(desk.engine, 2, recipe=RECIPE, worker="other")

    class Returning(SimpleReader):
        def read(self, pages: Sequence[PageImage]) -> list[Reading]:
            hand_back(desk.engine, "other")
            return super().read(pages)

    desk.stream._reader = Returning()
    desk.stream.read_waiting()

    assert desk.summary.done == 6


def test_a_turn_ends_in_time_though_pages_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.worker.stream.TURN_S", 0.12)
    reader = LookingReader()
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 40), reader=reader, chunk_size=2)
    reader.stream = desk.stream

    n_taken = desk.stream.read_waiting()

    assert 0 < desk.summary.done == n_taken < 40
    assert (desk.summary.leased, desk.summary.queued) == (0, 40 - n_taken)


def test_a_stopped_worker_hands_back_what_it_has_claimed_ahead(tmp_path: Path) -> None:
    reader = StoppingReader()
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 9), reader=reader, chunk_size=3)
    reader.stop = desk.stop

    with pytest.raises(Stopped):
        desk.stream.read_waiting()

    assert (desk.summary.done, desk.summary.queued, desk.summary.leased) == (2, 7, 0)
    assert desk.stream.in_hand == ()
