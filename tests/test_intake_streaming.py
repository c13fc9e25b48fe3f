"""Pages are added while more are looked for, and a file that has not changed is hashed once."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import update

from fumikura.core.archives import listing
from fumikura.core.archives.listing import stream_pages
from fumikura.core.errors import FumikuraError
from fumikura.core.intake import Submitted, Survey, submit, survey
from fumikura.core.page import PageReference
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.places import known_places
from fumikura.core.store.queries import cancel, run_summary
from tests.simple_archives import JPEG, make_folder, make_tar, make_tar_gz, make_zip
from tests.simple_store import RECIPE, claim_all, make_page, make_pages

Make = Callable[[Path, dict[str, bytes]], str]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each file whose bytes are looked at."""
    opened: list[int] = []
    digest = listing._digest

    def note(*arguments: object, **options: bool) -> object:
        opened.append(1)
        return digest(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(listing, "_digest", note)
    return opened


def grow_old(path: Path) -> None:
    """Let all files have been changed an hour ago: one that changed just now may change again unseen."""
    for file in [path, *path.rglob("*")]:
        hour_ago = file.stat().st_mtime - 3600
        os.utime(file, (hour_ago, hour_ago))


def ask(engine: Engine, archive: str, *, is_rehashed: bool = False) -> Submitted:
    known = None if is_rehashed else partial(known_places, engine)
    return submit(engine, survey([archive], known=known), recipe=RECIPE, command="test")


FILES = {f"p{number}.jpg": JPEG + bytes([number]) for number in range(5)}


@pytest.mark.parametrize("make", [make_folder, make_zip, make_tar])
def test_what_has_not_changed_is_hashed_once(
    engine: Engine, tmp_path: Path, make: Make, hashed: list[int]
) -> None:
    archive = make(tmp_path, FILES)
    grow_old(Path(archive))
    first = ask(engine, archive)

    again = ask(engine, archive)

    assert len(hashed) == 5
    assert again.added == first.added
    assert len(claim_all(engine)) == 5
    ask(engine, archive, is_rehashed=True)
    assert len(hashed) == 10


def test_a_file_that_changed_is_hashed_again_and_is_another_page(
    engine: Engine, tmp_path: Path, hashed: list[int]
) -> None:
    archive = make_folder(tmp_path, FILES)
    grow_old(Path(archive))
    ask(engine, archive)
    (Path(archive) / "p3.jpg").write_bytes(JPEG + b"\xff")  # of the same size

    ask(engine, archive)
    last = ask(engine, archive)

    # What has just been changed has no stamp yet, and is looked at each time.
    assert len(hashed) == 5 + 1 + 1
    assert last.added.n_pages == 5
    assert len(claim_all(engine)) == 6


def test_a_file_that_could_not_be_read_is_tried_each_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_folder(tmp_path, FILES)
    grow_old(Path(archive))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "denied")))
        ask(engine, archive)

    again = ask(engine, archive)

    assert (again.added.n_pages, again.added.n_queued) == (5, 5)
    assert {claimed.size_bytes for claimed in claim_all(engine)} >= {len(JPEG) + 1}


def test_a_compressed_tar_is_read_as_before(engine: Engine, tmp_path: Path, hashed: list[int]) -> None:
    archive = make_tar_gz(tmp_path, FILES)
    grow_old(Path(archive))

    assert ask(engine, archive).added == ask(engine, archive).added
    assert len(hashed) == 10


def endless(n_pages: int, *, then: Callable[[], object] = lambda: None) -> Iterator[PageReference]:
    """So many pages, and then what happens before the next one."""
    yield from make_pages(n_pages)
    then()
    yield make_page(n_pages + 1)


def test_a_run_can_be_seen_and_read_while_it_is_being_listed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.intake._PAGES_A_BATCH", 10)
    seen: list[tuple[int, int, bool]] = []

    def look() -> None:
        summary = run_summary(engine, 1)
        seen.append((summary.pages, len(claim_all(engine)), summary.is_listed))

    submitted = submit(engine, Survey(endless(20, then=look), {}), recipe=RECIPE, command="test")

    assert seen == [(20, 20, False)]
    assert (submitted.added.n_pages, submitted.is_listed) == (21, True)
    assert run_summary(engine, 1).is_listed


def test_a_batch_does_not_wait_to_be_full(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.intake._SECONDS_A_BATCH", 0.0)
    sizes: list[int] = []

    submit(
        engine,
        Survey(iter(make_pages(3)), {}),
        recipe=RECIPE,
        command="test",
        on_batch=lambda submitted: sizes.append(submitted.added.n_pages),
    )

    assert sizes == [1, 2, 3]


def test_what_is_cut_off_stays_and_the_same_request_goes_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[int]
) -> None:
    monkeypatch.setattr("fumikura.core.intake._PAGES_A_BATCH", 2)
    archive = make_folder(tmp_path, FILES)
    grow_old(Path(archive))
    with monkeypatch.context() as patched:
        numbers = count(1)

        def interrupt(_: Submitted) -> None:
            if next(numbers) == 2:
                raise KeyboardInterrupt

        patched.setattr("fumikura.core.intake.finish_listing", lambda *_: pytest.fail("went on"))
        with pytest.raises(KeyboardInterrupt):
            submit(engine, survey([archive]), recipe=RECIPE, command="test", on_batch=interrupt)
    cut = run_summary(engine, 1)

    again = ask(engine, archive)

    assert (cut.pages, cut.queued, cut.is_listed) == (4, 4, False)
    assert (again.added.n_pages, again.is_listed) == (5, True)
    assert len(hashed) == 4 + 1
    assert len(claim_all(engine)) == 5


def test_a_run_that_is_told_to_stop_adds_the_batch_in_hand(engine: Engine) -> None:
    stop = threading.Event()
    stop.set()

    submitted = submit(engine, Survey(iter(make_pages(3)), {}), recipe=RECIPE, command="test", stop=stop)

    assert (submitted.added.n_pages, submitted.is_listed) == (3, False)


def test_a_run_that_is_cancelled_while_it_is_listed_takes_no_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.intake._PAGES_A_BATCH", 5)
    found = Survey(endless(10, then=lambda: cancel(engine, 1)), {})

    with pytest.raises(FumikuraError, match="run 1 was cancelled while its pages were being added"):
        submit(engine, found, recipe=RECIPE, command="test")

    assert run_summary(engine, 1).cancelled == 10


def test_a_page_that_comes_in_two_batches_counts_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.intake._PAGES_A_BATCH", 3)
    pages = [*make_pages(4), *(make_page(number, archive="/scans/copy.zip") for number in range(1, 5))]

    submitted = submit(engine, Survey(iter(pages), {}), recipe=RECIPE, command="test")

    assert submitted.added.n_pages == submitted.added.n_queued == 4


@pytest.mark.slow
def test_a_listing_takes_no_memory_for_the_pages_behind_it(tmp_path: Path) -> None:
    for folder in range(40):
        make_folder(tmp_path / str(folder), {f"p{number}.jpg": JPEG for number in range(100)})
    stream_pages([str(tmp_path / "0")])

    def peak_bytes(path: Path) -> int:
        tracemalloc.start()
        assert sum(1 for _ in stream_pages([str(path)])) >= 100
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    one = peak_bytes(tmp_path / "0")
    assert peak_bytes(tmp_path) < one + 200_000


def test_an_older_stamp_does_not_hide_a_newer_image_at_the_same_place(engine: Engine, tmp_path: Path) -> None:
    archive = make_folder(tmp_path, {"p.jpg": JPEG})
    grow_old(tmp_path)
    ask(engine, archive)
    with engine.begin() as connection:
        connection.execute(update(tables.page_source).values(stamp="1:1"))

    ask(engine, archive)

    found = known_places(engine, str(Path(archive)), ["p.jpg"])
    assert found["p.jpg"].stamp != "1:1"
