"""Log lines as text and as JSON, with run, page and worker."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from fumikura.core.settings import Settings
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import run_summary
from fumikura.core.store.upgrading import open_database
from fumikura.worker.folder_broker import folder_url
from fumikura.worker.identity import worker_name
from fumikura.worker.logs import JsonLines, Lines
from tests.simple_launcher import program, wait_until
from tests.simple_reader import RECIPE, draw_pages


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("fumikura.worker.stream", logging.WARNING, __file__, 1, message, None, None)
    vars(made).update(facts)
    return made


def test_a_json_line_holds_the_message_and_the_facts_that_are_known() -> None:
    line = json.loads(JsonLines("host/1/1.0").format(record("first\nsecond 人", run=3, page=12)))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "fumikura.worker.stream",
        "message": "first\nsecond 人",
        "run": 3,
        "page": 12,
        "worker": "host/1/1.0",
    }


def test_an_error_brings_its_traceback_on_the_same_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        made = record("page 12")
        made.exc_info = (type(error), error, error.__traceback__)

    text = JsonLines("host/1/1.0").format(made)

    assert "\n" not in text
    assert "ValueError: broken" in json.loads(text)["traceback"]


def test_a_text_line_ends_with_the_facts() -> None:
    text = Lines("host/1/1.0").format(record("page 12: the file is empty", run=3, page=12, worker="other"))

    assert text.endswith(
        "WARNING fumikura.worker.stream: page 12: the file is empty [run=3 page=12 worker=other]"
    )


@pytest.mark.slow
def test_every_line_of_a_worker_is_json_and_says_which_page_failed(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    settings = Settings().overridden(
        database_url=str(tmp_path / "test.db"),
        broker_url=folder_url(tmp_path / "queue"),
        devices="cpu",
        log_format="json",
    )
    engine = open_database(settings.database_url)
    run_id = add_run(engine, RECIPE, command="enqueue book")
    add_pages(engine, run_id, draw_pages(tmp_path / "book", 3))
    (tmp_path / "book" / "page_1.png").write_bytes(b"another image")

    with program(["work"], settings, log=tmp_path / "log") as process:
        launcher = worker_name(process.pid)
        wait_until(lambda: run_summary(engine, run_id).is_finished)
        process.terminate()
        process.wait(10)

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (failed,) = (line for line in lines if "no longer the image" in line["message"])
    assert (failed["run"], failed["page"], failed["level"]) == (run_id, 2, "WARNING")
    (turn,) = (line for line in lines if line["message"].startswith("3 pages in "))
    assert turn["worker"] == failed["worker"] != launcher
    assert launcher in {line["worker"] for line in lines}
