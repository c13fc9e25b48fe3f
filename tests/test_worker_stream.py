"""A chunk's way through a worker, with a real store and a reader that does what colours say."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fumikura.core.errors import DatabaseError
from fumikura.core.page import Box, LabelledBox, PageImage, PageReference, Reading, Truth
from fumikura.core.settings import Settings
from fumikura.core.store import saving
from fumikura.core.store.claiming import claim
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import RunSummary, run_scores_by_book, run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.worker.outages import Stopped
from fumikura.worker.stream import Stream
from tests.simple_reader import BREAKS_DEVICE, FILLS_MEMORY, RAISES, RECIPE, SimpleReader, draw_pages


@dataclass
class Desk:
    """A run of some pages, and one worker's stream to read them with."""

    engine: Engine
    run_id: int
    reading_ids: list[int]
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
    chosen = Settings().overridden(pages_per_batch=2, threads=2, **settings)
    new = Stream(engine, reader, settings=chosen, worker="here", stop=stop)
    return Desk(engine, run_id, list(range(1, len(pages) + 1)), reader, new, stop)


def test_a_chunk_is_read_in_groups_and_saved(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 5))

    desk.stream.read(desk.reading_ids)

    assert (desk.summary.done, desk.summary.characters) == (5, 10)
    assert desk.reader.group_sizes == [2, 2, 1]


def test_a_message_that_comes_twice_is_read_once(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    desk.stream.read(desk.reading_ids)

    desk.stream.read(desk.reading_ids)

    assert desk.reader.group_sizes == [2]
    assert desk.summary.characters == 4


def test_the_same_message_at_two_workers_at_once_is_read_once(tmp_path: Path, database_url: str) -> None:
    engine = open_database(database_url)
    run_id = add_run(engine, RECIPE, command="run pages")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 6))
    readers = {worker: SimpleReader() for worker in ("here", "there")}
    barrier = threading.Barrier(len(readers))

    def read_all(worker: str) -> None:
        chosen = Settings(pages_per_batch=2, threads=1)
        stream = Stream(engine, readers[worker], settings=chosen, worker=worker, stop=threading.Event())
        barrier.wait()
        stream.read([1, 2, 3, 4, 5, 6])

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

    desk.stream.read(desk.reading_ids)

    assert (desk.summary.done, desk.summary.failed) == (2, 2)
    assert set(desk.reasons) == {"page_1", "page_2"}
    assert "no longer the image that was added" in desk.reasons["page_2"]


def test_a_group_that_cannot_be_read_is_read_page_by_page_and_what_fails_is_not_tried_again(
    tmp_path: Path,
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4, page_1=RAISES))

    desk.stream.read(desk.reading_ids)

    assert desk.summary.done == 3
    assert list(desk.reasons) == ["page_1"]
    assert "RuntimeError: blue pages cannot be read" in desk.reasons["page_1"]
    assert desk.reader.group_sizes == [2, 1, 1, 2]
    assert desk.summary.queued == 0


def test_a_page_that_takes_too_much_memory_comes_again_alone_and_is_quarantined_after_three_attempts(
    tmp_path: Path,
) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4, page_1=FILLS_MEMORY))

    desk.stream.read(desk.reading_ids)
    after_the_chunk = desk.summary
    for _ in range(3):
        desk.stream.read([2])

    assert (after_the_chunk.done, after_the_chunk.queued) == (3, 1)
    assert (desk.summary.done, desk.summary.quarantined) == (3, 1)
    assert "more memory than there is" in desk.reasons["page_1"]
    (failure,) = failures(desk.engine)
    assert failure.attempts == 3


def test_pages_with_truth_get_scores(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path / "book", 2)
    # SimpleReader finds 人 and 口, their centres at (5, 7) and (13, 7).
    boxes = (LabelledBox(Box(4, 2, 6, 6), "人"), LabelledBox(Box(4, 10, 6, 6), "日"))
    desk = make_desk(tmp_path, pages, truths={pages[0].digest: Truth(boxes=boxes)})

    desk.stream.read(desk.reading_ids)

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
        desk.stream.read(desk.reading_ids)

    assert (desk.summary.done, desk.summary.queued, desk.summary.leased) == (2, 3, 0)


def test_a_stopped_worker_claims_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    desk.stop.set()

    with pytest.raises(Stopped):
        desk.stream.read(desk.reading_ids)

    assert desk.summary.queued == 2
    assert desk.reader.group_sizes == []


def test_pages_of_another_worker_are_left_to_it(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 3))
    claim(desk.engine, [1, 2], recipe_digest=RECIPE.digest, worker="other", lease_s=60)

    desk.stream.read(desk.reading_ids)

    assert (desk.summary.done, desk.summary.leased) == (1, 2)


def test_an_outage_of_the_database_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 2))
    outages = iter([DatabaseError("away"), DatabaseError("away")])
    save = saving.save_reading

    def save_after_outages(*arguments: Any, **more: Any) -> bool:
        for outage in outages:
            raise outage
        return save(*arguments, **more)

    monkeypatch.setattr("fumikura.worker.stream.save_reading", save_after_outages)
    monkeypatch.setattr("fumikura.worker.outages.pause_s", lambda _n: 0.01)

    desk.stream.read(desk.reading_ids)

    assert desk.summary.done == 2
    assert desk.reader.group_sizes == [2]


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
        desk.stream.read(desk.reading_ids)

    assert (desk.summary.failed, desk.summary.leased) == (0, 2)


def test_giving_up_brings_the_chunk_back_in_halves(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, draw_pages(tmp_path / "book", 4))
    claim(desk.engine, desk.reading_ids, recipe_digest=RECIPE.digest, worker="here", lease_s=60)

    desk.stream.give_up()

    assert (desk.summary.queued, desk.summary.leased) == (4, 0)
