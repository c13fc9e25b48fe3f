"""Pages that could not be read when they were listed, and can be later."""

from __future__ import annotations

from dataclasses import replace

from fumikura.core.page import PageReference, stand_in_digest
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures
from fumikura.core.store.lookup import get_page
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.pages import add_pages
from fumikura.core.store.queries import retry, run_summary
from fumikura.core.store.saving import save_failure
from tests.simple_store import WORKER, claim_all, make_page, start_run


def unreadable(page: PageReference) -> PageReference:
    return replace(page, digest=stand_in_digest(page.archive, page.member), size_bytes=0)


def fail_all(engine: Engine) -> None:
    for claimed in claim_all(engine):
        assert save_failure(engine, claimed.reading_id, "cannot be read", worker=WORKER)


def test_a_page_that_was_mended_and_retried_is_read_by_the_same_run_again(engine: Engine) -> None:
    page = make_page(1)
    first, _ = start_run(engine, [unreadable(page)])
    fail_all(engine)
    retry(engine)

    second, added = start_run(engine, [page])

    assert (added.n_pages, added.n_queued) == (1, 1)
    assert [found.name for found in find_pages(engine)] == [page.name]
    assert get_page(engine, page.name).digest == page.digest
    assert [claimed.digest for claimed in claim_all(engine)] == [page.digest]
    assert [run_summary(engine, run).pages for run in (first, second)] == [1, 1]


def test_without_retry_it_is_no_longer_named_as_failed(engine: Engine) -> None:
    start_run(engine, [unreadable(make_page(1))])
    fail_all(engine)

    start_run(engine, [make_page(1)])

    assert list(failures(engine)) == []


def test_a_mended_page_that_is_known_from_elsewhere_is_that_page(engine: Engine) -> None:
    page, copy = make_page(1), replace(make_page(1), archive="/copies")
    first, _ = start_run(engine, [unreadable(copy)])
    fail_all(engine)
    start_run(engine, [page])

    start_run(engine, [copy])

    assert [found.name for found in find_pages(engine)] == [page.name]
    assert run_summary(engine, first).pages == 1
    assert {archive for archive, _ in get_page(engine, page.name).sources} == {page.archive, copy.archive}


def test_a_page_in_the_hands_of_a_worker_is_taken_up_the_next_time(engine: Engine) -> None:
    page = make_page(1)
    run, _ = start_run(engine, [unreadable(page)])
    (claimed,) = claim_all(engine)

    add_pages(engine, run, [page])

    assert save_failure(engine, claimed.reading_id, "cannot be read", worker=WORKER)
    start_run(engine, [page])
    assert [found.name for found in find_pages(engine)] == [page.name]
