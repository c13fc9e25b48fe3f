"""What `fumikura forget` deletes, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from fumikura.core.errors import FumikuraError
from fumikura.core.store import forgetting, tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgetting import Doomed, doomed_by_archive, doomed_by_recipe, doomed_by_run, forget
from fumikura.core.store.queries import cancel, list_runs, run_summary
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.tables import Status
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    WORKER,
    claim_all,
    claim_pages,
    make_page,
    make_pages,
    make_reading,
    read_all,
    start_run,
)


def n_rows(engine: Engine) -> dict[str, int]:
    names = ("page", "page_source", "run", "run_page", "reading", "character")
    with engine.connect() as connection:
        return {
            name: connection.execute(
                select(func.count()).select_from(tables.metadata.tables[name])
            ).scalar_one()
            for name in names
        }


def test_a_run_goes_with_all_that_hangs_on_it_however_many_transactions_it_takes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "READINGS_PER_TRANSACTION", 2)
    run_id, _ = start_run(engine, make_pages(5))
    read_all(engine, *[make_reading("いろは")] * 5)

    doomed = doomed_by_run(engine, run_id)

    assert (doomed.readings, doomed.n_characters, doomed.n_kept) == ({Status.DONE: 5}, 15, 0)
    assert forget(engine, doomed) == 5
    assert set(n_rows(engine).values()) == {0}


def test_what_another_run_asks_for_stays_until_that_one_is_forgotten_too(engine: Engine) -> None:
    first, _ = start_run(engine, make_pages(3))
    read_all(engine, *[make_reading("い")] * 3)
    second, _ = start_run(engine, make_pages(2))

    doomed = doomed_by_run(engine, first)

    assert (doomed.n_readings, doomed.n_kept) == (1, 2)
    assert forget(engine, doomed) == 1
    assert [run.run for run in list_runs(engine)] == [second]
    assert run_summary(engine, second).skipped == 2
    assert n_rows(engine)["page"] == 2
    assert forget(engine, doomed_by_run(engine, second)) == 2


def test_an_archive_goes_but_for_the_pages_that_lie_in_another_one_too(engine: Engine) -> None:
    elsewhere = "/scans/copies.zip"
    run_id, _ = start_run(engine, [*make_pages(3), make_page(1, archive=elsewhere)])
    read_all(engine, *[make_reading("い")] * 3)

    doomed = doomed_by_archive(engine, "/scans/tale.zip")

    assert (doomed.n_readings, doomed.n_kept) == (2, 1)
    assert forget(engine, doomed) == 2
    assert run_summary(engine, run_id).pages == 1
    assert (n_rows(engine)["page"], n_rows(engine)["page_source"]) == (1, 1)
    with pytest.raises(FumikuraError, match=r"no page of /scans/tale\.zip is known"):
        doomed_by_archive(engine, "/scans/tale.zip")
    assert forget(engine, doomed_by_archive(engine, elsewhere)) == 1
    assert set(n_rows(engine).values()) == {0}


def test_a_recipe_goes_and_the_readings_of_the_others_stay(engine: Engine) -> None:
    start_run(engine, make_pages(2))
    read_all(engine, *[make_reading("い")] * 2)
    other, _ = start_run(engine, make_pages(2), recipe=OTHER_RECIPE)

    assert forget(engine, doomed_by_recipe(engine, RECIPE.digest[:8])) == 2

    assert [run.run for run in list_runs(engine)] == [other]
    assert run_summary(engine, other).queued == 2
    with pytest.raises(FumikuraError, match=r"^no recipe begins with 'zz'; give one of these: "):
        doomed_by_recipe(engine, "zz")
    with pytest.raises(FumikuraError, match="several recipes begin with ''"):
        doomed_by_recipe(engine, "")


@pytest.mark.parametrize(
    "choose",
    [
        lambda engine: doomed_by_run(engine, 1),
        lambda engine: doomed_by_archive(engine, "/scans/tale.zip"),
        lambda engine: doomed_by_recipe(engine, RECIPE.digest),
    ],
)
def test_nothing_goes_while_a_page_of_it_is_being_read(
    engine: Engine, choose: Callable[[Engine], Doomed]
) -> None:
    start_run(engine, make_pages(3))
    claim_pages(engine, 1, after=1)
    before = n_rows(engine)

    with pytest.raises(FumikuraError, match=r"being read \(1 leased\), so nothing was deleted"):
        forget(engine, choose(engine))

    assert n_rows(engine) == before
    assert run_summary(engine, 1).queued == 2
    cancel(engine, 1)
    assert save_failure(engine, 2, "empty", worker=WORKER)
    assert forget(engine, choose(engine)) == 3


def test_a_worker_with_an_old_message_finds_nothing_to_read(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(2))
    forget(engine, doomed_by_run(engine, run_id))

    assert claim_pages(engine, 2) == []
    assert not save_reading(engine, 1, make_reading("い"), worker=WORKER)
    assert set(n_rows(engine).values()) == {0}


def test_what_was_forgotten_is_read_again_when_asked_for_again(engine: Engine) -> None:
    run_id, _ = start_run(engine, make_pages(2))
    read_all(engine, *[make_reading("い")] * 2)
    forget(engine, doomed_by_run(engine, run_id))

    _, added = start_run(engine, make_pages(2))

    assert (added.n_queued, added.n_done) == (2, 0)
    assert len(claim_all(engine)) == 2


def test_a_run_that_does_not_exist_is_named(engine: Engine) -> None:
    with pytest.raises(FumikuraError, match="there is no run 7"):
        doomed_by_run(engine, 7)


def test_a_pdf_or_scan_goes_by_its_own_name(engine: Engine) -> None:
    members = ["book.pdf/book_0001", "book.pdf/book_0002", "book.pdf.jpg", "scan.jpg", "scan.jpg/p.jpg"]
    pages = [replace(make_page(number), archive="/scans", member=name) for number, name in enumerate(members)]
    start_run(engine, pages)

    assert forget(engine, doomed_by_archive(engine, "/scans/book.pdf")) == 2
    assert forget(engine, doomed_by_archive(engine, "/scans/scan.jpg")) == 1
    with pytest.raises(FumikuraError, match=r"no page of /scans/book\.pdf is known"):
        doomed_by_archive(engine, "/scans/book.pdf")
    assert forget(engine, doomed_by_archive(engine, "/scans")) == 2
