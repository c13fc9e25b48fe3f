"""The views answer as the program does, and the same on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import inspect, text, update

from fumikura.core.scoring.metrics import pool
from fumikura.core.store import tables
from fumikura.core.store.connecting import Engine
from fumikura.core.store.forgetting import doomed_by_recipe, forget
from fumikura.core.store.lookup import PageDetails, get_page
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.search import find_characters
from fumikura.core.store.tables import Status
from fumikura.core.store.upgrading import open_database
from tests.simple_store import (
    OTHER_RECIPE,
    RECIPE,
    make_page,
    make_reading,
    read_all,
    read_small_book,
    start_run,
)

#: Each with an order of its rows.
VIEWS = {
    "latest_character": "page_id, position",
    "page_text": "page_id",
    "column_text": "page_id, column_number",
    "page_score": "page_id",
}


def ask(engine: Engine, view: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM {view} ORDER BY {VIEWS[view]}")).mappings()
        return [dict(row) for row in rows]


def done_pages(engine: Engine) -> list[PageDetails]:
    return [get_page(engine, str(page.page_id)) for page in find_pages(engine, status=Status.DONE)]


def place(page: PageDetails) -> dict[str, Any]:
    return {"page_id": page.page_id, "page": page.name, "book": page.book, "reading_id": page.reading_id}


def test_every_view_is_looked_at_here(engine: Engine) -> None:
    assert set(inspect(engine).get_view_names()) == set(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
def test_both_databases_give_the_same(sqlite_url: str, postgres_url: str, view: str) -> None:
    answers, columns = [], []
    for url in (sqlite_url, postgres_url):
        engine = open_database(url)
        read_small_book(engine)
        rows = ask(engine, view)
        for row in rows:
            if isinstance(row.get("alternatives"), str):  # SQLite keeps JSON as text
                row["alternatives"] = json.loads(row["alternatives"])
        answers.append(rows)
        columns.append([column["name"] for column in inspect(engine).get_columns(view)])
        engine.dispose()

    assert answers[0] == answers[1] != []
    assert columns[0] == columns[1]


def test_the_latest_characters_are_those_that_a_page_shows(engine: Engine) -> None:
    read_small_book(engine)

    found = ask(engine, "latest_character")

    wanted = [
        {
            **place(page),
            "position": position,
            "column_number": character.column_number,
            "x": character.box.x,
            "y": character.box.y,
            "width": character.box.width,
            "height": character.box.height,
            "label": character.label,
            "confidence": character.confidence,
        }
        for page in done_pages(engine)
        for position, character in enumerate(page.characters)
    ]
    assert [{name: row[name] for name in wanted[0]} for row in found] == wanted


def test_a_character_counts_its_place_as_query_does(engine: Engine) -> None:
    read_small_book(engine)

    found = [
        row for row in ask(engine, "latest_character") if row["label"] + (row["next_label"] or "") == "なる"
    ]

    hits = find_characters(engine, "なる")
    names = ("page_id", "page", "book", "reading_id", "position", "column_number")
    assert [[row[name] for name in names] for row in found] == [
        [getattr(hit, name) for name in names] for hit in hits
    ]
    assert len(hits) == 3


def test_the_text_of_a_page_is_the_one_that_it_shows(engine: Engine) -> None:
    read_small_book(engine)

    assert ask(engine, "page_text") == [
        {
            **place(page),
            "text": page.text,
            "n_characters": len(page.characters),
            "mean_confidence": page.mean_confidence,
        }
        for page in done_pages(engine)
    ]


def test_a_text_by_column_has_the_lines_of_the_text(engine: Engine) -> None:
    read_small_book(engine)

    assert ask(engine, "column_text") == [
        {**place(page), "column_number": number, "text": line}
        for page in done_pages(engine)
        for number, line in enumerate((page.text or "").splitlines())
    ]


def test_the_scores_of_a_page_are_the_ratios_of_its_counts(engine: Engine) -> None:
    read_small_book(engine)

    found = ask(engine, "page_score")

    scored = [page for page in done_pages(engine) if page.scores is not None]
    assert [page.name for page in scored] == ["drawn_001", "drawn_002", "drawn_003", "drawn_005"]
    assert found == [{**place(page), **(pool([page.scores]) or {})} for page in scored if page.scores]
    by_name = {row["page"]: row for row in found}
    assert by_name["drawn_001"]["character_f1_as_written"] < by_name["drawn_001"]["character_f1"]
    assert by_name["drawn_002"]["dice"] is None
    assert by_name["drawn_002"]["detection_recall"] is not None
    assert by_name["drawn_005"]["detection_precision"] is None  # nothing was found on the blank page


def test_of_two_readings_done_at_the_same_moment_the_later_row_counts(engine: Engine) -> None:
    start_run(engine, [make_page(1)])
    read_all(engine, make_reading("い"))
    start_run(engine, [make_page(1)], recipe=OTHER_RECIPE)
    read_all(engine, make_reading("ろ"), recipe=OTHER_RECIPE)
    with engine.begin() as connection:
        connection.execute(update(tables.reading).values(finished_at=datetime(2026, 1, 1, tzinfo=UTC)))

    assert [row["text"] for row in ask(engine, "page_text")] == [get_page(engine, "tale_001").text] == ["ろ"]


def test_when_the_newest_reading_is_forgotten_the_one_before_counts_again(engine: Engine) -> None:
    read_small_book(engine)
    assert ask(engine, "page_text")[0]["text"] == "なる気\nなるあら\nずを"

    forget(engine, doomed_by_recipe(engine, RECIPE.digest))

    assert [row["text"] for row in ask(engine, "page_text")] == ["あらす"]
    assert ask(engine, "page_score") == []
