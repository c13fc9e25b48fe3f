"""Broken files of equal bytes are one page, and each of them is named for as long as it is broken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.core.page import PageReference
from fumikura.core.store.connecting import Engine
from fumikura.core.store.failures import failures, n_replaced
from fumikura.core.store.saving import save_failure
from fumikura.core.store.upgrading import open_database
from tests.simple_store import WORKER, claim_all, make_page, start_run

HTML = make_page(1)


def file(name: str, *, page: PageReference = HTML) -> PageReference:
    return replace(page, member=f"images/{name}.jpg")


def fail_all(engine: Engine) -> None:
    for claimed in claim_all(engine):
        save_failure(engine, claimed.reading_id, "not an image but a text", worker=WORKER)


def names(engine: Engine, **asked: int) -> list[str]:
    return [failure.name for failure in failures(engine, **asked)]


def test_every_file_of_a_broken_page_is_named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.store.failures._ROWS_AT_ONCE", 2)  # in the middle of a page
    files = [file(f"p{number}") for number in range(1, 6)]
    run_id, _ = start_run(engine, [*files, file("q", page=make_page(2))])

    fail_all(engine)

    assert names(engine) == ["p1", "p2", "p3", "p4", "p5", "q"]
    assert names(engine, run_id=run_id) == names(engine)
    assert names(engine, limit=3) == ["p1", "p2", "p3"]
    assert n_replaced(engine) == 0


def test_a_file_that_was_mended_is_named_no_more_and_the_others_are(engine: Engine) -> None:
    start_run(engine, [file("p1"), file("p2"), file("p3")])
    fail_all(engine)

    start_run(engine, [file("p1", page=make_page(2)), file("p2"), file("p3")])
    fail_all(engine)

    assert names(engine) == ["p2", "p3", "p1"]  # the new bytes of p1 failed too
    start_run(engine, [file(f"p{number}", page=make_page(10 + number)) for number in (1, 2, 3)])
    assert names(engine) == []
    assert n_replaced(engine) == 2


def test_failed_tells_files_and_pages_apart(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)
    start_run(engine, [file("p1"), file("p2"), file("q", page=make_page(2))])
    fail_all(engine)

    shown = CliRunner().invoke(main, ["failed", "--db", sqlite_url])
    as_json = CliRunner().invoke(main, ["failed", "--db", sqlite_url, "--json"])

    assert "3 files of 2 pages, since their bytes are equal" in shown.stderr
    found = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [(one["name"], one["member"]) for one in found] == [
        ("p1", "images/p1.jpg"),
        ("p2", "images/p2.jpg"),
        ("q", "images/q.jpg"),
    ]
