"""What a run says at its end."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fumikura.cli.run_results import excerpt, figures, next_steps, tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.queries import RunSummary
from tests.simple_store import make_pages, make_reading, read_all, start_run

SUMMARY = RunSummary(
    run=1,
    recipe_digest="0" * 64,
    command="run scans",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    is_cancelled=False,
    is_listed=True,
    pages=2,
    done=1,
    failed=1,
    quarantined=0,
    skipped=0,
    queued=0,
    leased=0,
    cancelled=0,
    characters=9,
)


@pytest.fixture(autouse=True)
def no_database_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUMIKURA_DATABASE_URL", raising=False)


def test_the_next_commands_ask_the_database_that_was_read_into() -> None:
    _, failed, text, characters, pages = next_steps(SUMMARY, database="sqlite:///my books.db")

    assert failed.startswith("  fumikura failed --db 'my books.db'  ")
    assert text.startswith("  fumikura text --db 'my books.db'  ")
    assert characters.startswith("  fumikura query characters 人 --db 'my books.db'  ")
    assert pages.endswith("`fumikura show PAGE --db 'my books.db'`")


@pytest.mark.parametrize("url", ["sqlite:///fumikura.db", "postgresql://fumikura:sesame@host/books"])
def test_they_are_short_for_the_usual_database_and_show_no_password(url: str) -> None:
    assert "--db" not in "".join(next_steps(SUMMARY, database=url))


def test_they_are_short_where_a_variable_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMIKURA_DATABASE_URL", "sqlite:///genji.db")

    assert "--db" not in "".join(next_steps(SUMMARY, database="sqlite:///genji.db"))


def test_they_name_the_program_as_the_shell_will_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/fumikura", "run", "scans"])
    monkeypatch.setenv("PATH", "/nowhere")

    assert all(
        line.startswith("  .venv/bin/fumikura ")
        for line in next_steps(SUMMARY, database="sqlite:///fumikura.db")[1:]
    )


def test_a_run_ends_with_the_first_lines_of_a_page_that_has_some(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    run_id, _ = start_run(engine, make_pages(3))
    before = excerpt(engine, run_id)
    read_all(
        engine,
        make_reading(),
        make_reading("序"),
        make_reading("い", "ろは", "にほ", "へとちりぬるをわかよたれそつねならむうゐのおく", "やま", "けふ"),
    )

    shown = excerpt(engine, run_id)

    assert before == []
    assert shown == [
        "Read on tale_003, the columns from the right:",
        "  ろは",
        "  にほ",
        "  へとちりぬるをわかよたれそつねならむ…",
        "  やま",
        "  …",
        "",
    ]


def test_the_counts_of_an_interrupted_run_add_up() -> None:
    interrupted = replace(SUMMARY, pages=9, done=3, skipped=2, queued=2, leased=1)

    first, *_ = tables(figures(interrupted, [], seconds=1.0, steady_rate=None), [])
    names, counts = (list(column.cells) for column in first.columns)

    assert dict(zip(names, counts, strict=True)) | {"seconds": "", "pages/s": ""} == {
        "pages": "9",
        "read now": "3",
        "read before": "2",
        "failed": "1",
        "not read: waiting or cancelled": "3",
        "characters on these pages": "9",
        "seconds": "",
        "pages/s": "",
    }
