"""Runs, pages and readings that wait."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from fumikura.core.errors import FumikuraError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.leases import return_leases
from fumikura.core.store.lookup import get_page
from fumikura.core.store.pages import Added, add_pages, add_run
from fumikura.core.store.queries import cancel, run_summary
from fumikura.core.store.saving import save_failure
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    WORKER,
    claim_all,
    make_page,
    make_pages,
    make_reading,
    make_truth,
    read_all,
    start_run,
)


def count_rows(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(tables.metadata.tables[table])
        ).scalar_one()


def test_new_pages_are_queued_in_their_order(engine: Engine) -> None:
    _, added = start_run(engine, make_pages(3))

    claims = claim_all(engine)

    assert added == Added(n_pages=3, n_queued=3, n_done=0, n_quarantined=0)
    assert [one.member for one in claims] == [
        "images/tale_001.jpg",
        "images/tale_002.jpg",
        "images/tale_003.jpg",
    ]


def test_a_page_may_lie_as_deep_as_a_file_can(engine: Engine) -> None:
    """4,000 bytes that no compression makes shorter: an index of PostgreSQL holds 2,704."""
    letters = random.Random(1).choices([chr(code) for code in range(0x4E00, 0x9FA0)], k=1350)
    deep = replace(make_page(1), member="/".join("".join(letters[n : n + 70]) for n in range(0, 1350, 70)))
    page = make_page(2)

    _, added = start_run(engine, [deep, page])
    start_run(engine, [deep, page])  # seen again, in the same places

    assert added.n_queued == 2
    assert count_rows(engine, "page_source") == 2
    assert [one.member for one in claim_all(engine)] == [deep.member, page.member]


def test_a_recipe_is_kept_once(engine: Engine) -> None:
    first, second = (add_run(engine, RECIPE, command="fumikura run") for _ in range(2))

    assert first != second
    assert count_rows(engine, "recipe") == 1


def test_adding_pages_twice_changes_nothing(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(3))

    again = add_pages(engine, run_id, make_pages(3))

    assert again == Added(n_pages=0, n_queued=0, n_done=0, n_quarantined=0)
    assert [count_rows(engine, table) for table in ("page", "page_source", "reading", "run_page")] == [3] * 4


def test_adding_no_pages_is_a_run_without_pages(engine: Engine) -> None:
    run_id, added = start_run(engine, [])

    assert added == Added(0, 0, 0, 0)
    assert run_summary(engine, run_id).pages == 0


def test_the_same_image_in_two_archives_is_one_page_with_two_places(engine: Engine) -> None:
    copies = [make_page(1, archive="/scans/a.zip"), make_page(1, archive="/scans/b.zip")]

    _, added = start_run(engine, copies)

    assert added.n_pages == 1
    assert sorted(archive for archive, _ in get_page(engine, "tale_001").sources) == [
        "/scans/a.zip",
        "/scans/b.zip",
    ]


def test_a_page_is_known_by_all_names_of_its_copies(engine: Engine) -> None:
    page = make_page(1)
    copies = [
        page,
        replace(page, archive="/scans/copy_1.jpg", member=""),
        replace(page, archive="/scans/more", member="copy_2.tif"),
        replace(page, archive="/scans/copy_3.zip", member="images/copy_4.jpg"),
    ]
    start_run(engine, [*copies, make_page(2)])

    assert {get_page(engine, f"copy_{number}").name for number in (1, 2, 4)} == {"tale_001"}
    for unknown in ("copy_3", "copy", "images"):
        with pytest.raises(FumikuraError, match="there is no page"):
            get_page(engine, unknown)


def test_a_page_is_read_where_it_was_seen_last(engine: Engine) -> None:
    start_run(engine, [make_page(1, archive="/scans/first.zip")])
    start_run(engine, [make_page(1, archive="/scans/moved.zip")])
    start_run(engine, [make_page(1, archive="/scans/first.zip")])

    (claimed,) = claim_all(engine)

    assert claimed.archive == "/scans/first.zip"


def test_a_page_that_was_done_is_skipped(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("あ"))

    run_id, added = start_run(engine, make_pages(2))

    assert added == Added(n_pages=2, n_queued=1, n_done=1, n_quarantined=0)
    summary = run_summary(engine, run_id)
    assert (summary.done, summary.skipped, summary.queued) == (0, 1, 1)


def test_a_page_done_while_its_own_run_adds_it_again_was_not_skipped(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    read_all(engine, make_reading("あ"))

    add_pages(engine, run_id, make_pages(1))

    summary = run_summary(engine, run_id)
    assert (summary.done, summary.skipped) == (1, 0)


def test_another_recipe_reads_a_page_again(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    read_all(engine, make_reading("あ"))

    _, added = start_run(engine, make_pages(1), recipe=OTHER_RECIPE)

    assert added.n_queued == 1


def test_a_failed_page_is_queued_again(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    (claimed,) = claim_all(engine)
    save_failure(engine, claimed.reading_id, "an empty file", worker=WORKER)

    run_id, added = start_run(engine, make_pages(1))

    assert added.n_queued == 1
    assert run_summary(engine, run_id).failed == 0
    assert get_page(engine, "tale_001").error is None


def test_a_cancelled_page_is_queued_again(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(1))
    cancel(engine, run_id)

    again, added = start_run(engine, make_pages(1))

    assert added.n_queued == 1
    assert run_summary(engine, again).queued == 1


def test_a_quarantined_page_stays(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)
    return_leases(engine, WORKER, max_attempts=1)

    _, added = start_run(engine, make_pages(1))

    assert added == Added(n_pages=1, n_queued=0, n_done=0, n_quarantined=1)


def test_a_page_that_is_being_read_stays_with_its_worker(engine: Engine) -> None:
    start_run(engine, make_pages(1))
    claim_all(engine)

    run_id, added = start_run(engine, make_pages(1))

    assert added.n_queued == 1
    assert run_summary(engine, run_id).leased == 1


def test_truth_comes_with_the_claim(engine: Engine) -> None:
    run_id = add_run(engine, RECIPE, command="fumikura run")
    truths = {
        make_page(1).digest: make_truth("の", "气"),
        make_page(2).digest: Truth(mask_png=b"png", is_partial=True),
    }

    add_pages(engine, run_id, make_pages(3), truths=truths)

    assert [one.truth for one in claim_all(engine)] == [*truths.values(), None]


def test_a_newer_truth_replaces_the_older(engine: Engine) -> None:
    run_id = add_run(engine, RECIPE, command="fumikura run")
    digest = make_page(1).digest
    add_pages(engine, run_id, make_pages(1), truths={digest: make_truth("の")})

    add_pages(engine, run_id, make_pages(1), truths={digest: make_truth("は")})
    add_pages(engine, run_id, make_pages(1))

    assert get_page(engine, "tale_001").truth == make_truth("は")


def test_names_that_are_no_text_do_not_stop_a_run(engine: Engine) -> None:
    run_id = add_run(engine, RECIPE, command="fumikura run caf\udce9.zip \0")

    assert run_summary(engine, run_id).command == "fumikura run caf?.zip \ufffd"


@pytest.mark.parametrize("count", [2500])
def test_pages_beyond_one_transaction_are_all_added(engine: Engine, count: int) -> None:
    run_id, added = start_run(engine, make_pages(count))

    assert added.n_queued == count
    assert run_summary(engine, run_id).queued == count


@pytest.mark.slow
def test_many_at_once_may_add_the_same_pages(engine: Engine) -> None:
    forward, backward = make_pages(300), make_pages(300)[::-1]

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda pages: start_run(engine, pages)[1], [forward, backward] * 4))

    assert added == [Added(n_pages=300, n_queued=300, n_done=0, n_quarantined=0)] * 8
    assert count_rows(engine, "page") == 300
    assert count_rows(engine, "reading") == 300


def test_a_truth_of_texts_and_lines_reaches_the_worker_and_is_replaced_whole(engine: Engine) -> None:
    (page,) = make_pages(1)
    lines = (LabelledBox(Box(1, 2, 3, 4), "いろ"), LabelledBox(Box(5, 6, 7, 8), ""))
    truth = Truth(text="いろ\n\0", lines=lines)
    run_id = add_run(engine, RECIPE, command="run")
    add_pages(engine, run_id, [page], truths={page.digest: make_truth("い")})
    before = get_page(engine, page.name).truth

    add_pages(engine, run_id, [page], truths={page.digest: truth})

    (claimed,) = claim_all(engine)
    assert before == make_truth("い")
    assert claimed.truth == replace(truth, text="いろ\n\N{REPLACEMENT CHARACTER}")
    assert get_page(engine, page.name).truth == claimed.truth
