"""docs/database.md names all that is in the database, and its SQL and pandas give the same answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from fumikura.core.store.connecting import Engine
from fumikura.core.store.tables import metadata
from fumikura.core.store.upgrading import open_database
from tests.simple_store import read_small_book

DOCUMENT = (Path(__file__).parents[1] / "docs" / "database.md").read_text()
SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
COLUMN = re.compile(r"^\| `(\w+)` \| [A-Z][^|]+\. \|$", re.MULTILINE)
SETUP, *PANDAS = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
SQL = re.findall(r"^```sql\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_every_table_view_and_column_has_its_sentence(engine: Engine) -> None:
    described = {name: COLUMN.findall(section) for name, section in SECTION.findall(DOCUMENT)}

    inspector = inspect(engine)
    names = [*metadata.tables, *inspector.get_view_names()]
    assert described == {name: [column["name"] for column in inspector.get_columns(name)] for name in names}


def ask_sql(engine: Engine, question: str) -> tuple[list[str], list[list[Any]]]:
    with engine.connect() as connection:
        answer = connection.execute(text(question))
        return list(answer.keys()), [list(row) for row in answer]


@pytest.mark.slow
def test_pandas_gives_the_answers_of_sql(
    sqlite_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite, postgres = open_database(sqlite_url), open_database(postgres_url)
    for engine in (sqlite, postgres):
        read_small_book(engine)
    monkeypatch.chdir(tmp_path)  # where the fixture's fumikura.db lies
    names: dict[str, Any] = {}
    exec(SETUP, names)

    for question, answer_in_pandas in zip(SQL, PANDAS, strict=True):
        columns, rows = ask_sql(sqlite, question)
        exec(answer_in_pandas, names)

        assert rows, question
        assert columns == list(names["answer"].columns), question
        assert rows == names["answer"].to_numpy(dtype=object).tolist(), question
        assert ask_sql(postgres, question) == (columns, rows), question

    names["connection"].close()
    sqlite.dispose()
    postgres.dispose()


def test_there_are_answers_to_five_questions() -> None:
    asked = DOCUMENT.partition("## Five questions")[2].partition("\n## ")[0]

    questions = asked.split("\n### ")[1:]

    assert len(questions) == 5
    assert all("```sql" in question and "```python" in question for question in questions)
