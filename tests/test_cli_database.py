"""The commands that look into the database and change what is to be read."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.page import Box, Character, PageReference, Reading
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store.pages import add_pages, add_run, finish_listing
from fumikura.core.store.saving import save_failure, save_reading
from fumikura.core.store.upgrading import open_database
from tests.handmade import page_png, write_weights, write_zip
from tests.simple_store import OTHER_RECIPE, claim_pages, make_page, start_run

RECIPE = Recipe("a" * 64, "b" * 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database: page g_1 says いろは人, in two columns; g_2 failed; g_3 waits."""
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    engine = open_database("sqlite:///fumikura.db")
    run_id = add_run(engine, RECIPE, command="run scans.zip")
    pages = [
        PageReference("/scans.zip", f"g_{number}.png", f"{number}" * 64, 100, "g") for number in (1, 2, 3)
    ]
    add_pages(engine, run_id, pages)
    finish_listing(engine, run_id)
    claims = claim_pages(engine, 2, recipe=RECIPE, worker="host/1/1.0")
    save_reading(engine, claims[0].reading_id, reading_of("いろ", "は人"), worker="host/1/1.0")
    save_failure(engine, claims[1].reading_id, "the file is empty", worker="host/1/1.0")
    engine.dispose()
    return tmp_path


def reading_of(*columns: str) -> Reading:
    characters = [
        Character(Box(90 - 40 * column, 10 + 30 * row, 20, 25), label, 0.9, column_number=column)
        for column, text in enumerate(columns)
        for row, label in enumerate(text)
    ]
    return Reading(np.zeros((16, 16), bool), tuple(characters), 120, 160)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("folder")
def test_status_counts_the_pages_of_each_run() -> None:
    (state,) = objects(invoke("status", "--json"))

    (run,) = state["runs"]
    assert run["command"] == "run scans.zip"
    assert [run[name] for name in ("pages", "done", "failed", "skipped", "queued")] == [3, 1, 1, 0, 1]
    assert state["readings"]["done"] == 1
    assert state["workers"] == []


@pytest.mark.usefixtures("folder")
def test_status_names_the_workers_that_hold_pages() -> None:
    engine = open_database("sqlite:///fumikura.db")
    claim_pages(engine, 1, recipe=RECIPE, after=2, worker="host:1f/4711/3.5")

    table, (state,) = invoke("status"), objects(invoke("status", "--json"))

    assert "4711" in table.stdout
    assert [(worker["worker"], worker["n_pages"]) for worker in state["workers"]] == [("host/4711", 1)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["status", "failed"])
def test_an_unknown_run_is_an_error(command: str) -> None:
    result = invoke(command, "--run", "7")

    assert result.exit_code == 1
    assert "there is no run 7" in result.stderr


@pytest.mark.usefixtures("folder")
def test_failed_gives_the_reason_of_each_page() -> None:
    table, (failure,) = invoke("failed"), objects(invoke("failed", "--run", "1", "--json"))

    assert "the file is empty" in table.stdout
    assert (failure["name"], failure["status"], failure["attempts"]) == ("g_2", "failed", 0)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", [(), ("--run", "1"), ("g_2",), ("--reason", "FILE … empty")])
def test_retry_queues_failed_pages_again(arguments: tuple[str, ...]) -> None:
    result = objects(invoke("retry", *arguments, "--json"))

    assert result == [{"queued": 1}]
    assert invoke("failed", "--json").stdout == ""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("reason", ["is full", "is%empty", "the_file", "\\"])
def test_retry_leaves_pages_with_other_reasons(reason: str) -> None:
    assert objects(invoke("retry", "--reason", reason, "--json")) == [{"queued": 0}]


@pytest.mark.usefixtures("folder")
def test_retry_of_a_page_that_did_not_fail_queues_nothing() -> None:
    assert objects(invoke("retry", "g_1", "--json")) == [{"queued": 0}]


@pytest.mark.usefixtures("folder")
def test_cancel_takes_waiting_pages_out_of_the_queue() -> None:
    result = objects(invoke("cancel", "1", "--json"))

    assert result == [{"run": 1, "cancelled": 1}]
    (state,) = objects(invoke("status", "--json"))
    assert state["readings"]["queued"] == 0
    assert state["readings"]["done"] == 1


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("target", [("1",), ("/scans.zip",), ("--recipe", RECIPE.digest[:8])])
def test_forget_asks_says_how_many_and_deletes(target: tuple[str, ...]) -> None:
    refused = CliRunner().invoke(main, ["forget", *target], input="n\n")
    unanswered = invoke("forget", *target)
    forgotten = invoke("forget", *target, "--yes", "--json")

    assert refused.exit_code == 1
    assert "forget 3 readings with 4 characters; " in refused.stderr
    assert refused.stderr.endswith("nothing was forgotten\n")
    assert unanswered.exit_code == 2
    assert "--yes" in unanswered.stderr
    assert objects(forgotten) == [{"forgotten": 3, "kept": 0}]
    (state,) = objects(invoke("status", "--json"))
    assert (state["n_pages"], state["runs"]) == (0, [])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        ((), 2, "a run's number, an archive, or --recipe"),
        (("1", "--recipe", "aa"), 2, "a run's number, an archive, or --recipe"),
        (("7",), 1, "there is no run 7"),
        (("gone.zip",), 1, "gone.zip is known"),
        (("--recipe", "zz"), 1, "no recipe begins with 'zz'"),
    ],
)
def test_forget_of_what_is_not_there_is_one_line(
    arguments: tuple[str, ...], exit_code: int, told: str
) -> None:
    result = invoke("forget", *arguments, "--yes")

    assert result.exit_code == exit_code
    assert told in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_character_is_found_with_its_place_and_what_surrounds_it() -> None:
    table, (hit,) = (
        invoke("query", "characters", "は"),
        objects(invoke("query", "characters", "は", "--json")),
    )

    assert (hit["page"], hit["position"], hit["column_number"]) == ("g_1", 2, 1)
    assert (hit["label"], hit["box"]) == ("は", {"x": 50, "y": 10, "width": 20, "height": 25})
    [beside] = objects(invoke("query", "text", "は", "--json"))
    assert (beside["before"], beside["after"]) == ("いろ", "人")
    assert "50,10 20×25" in table.stdout
    assert "1 found" in table.stderr


@pytest.mark.usefixtures("folder")
def test_a_phrase_is_found_across_columns() -> None:
    (hit,) = objects(invoke("query", "text", "ろは", "--json"))
    of_either = objects(invoke("query", "characters", "ろは", "--json"))

    assert hit["position"] == 1
    assert [one["label"] for one in of_either] == ["ろ", "は"]


@pytest.mark.usefixtures("folder")
def test_a_search_without_hits_is_no_error() -> None:
    result = invoke("query", "characters", "犬")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "nothing found" in result.stderr


@pytest.mark.usefixtures("folder")
def test_pages_can_be_listed_by_what_became_of_them() -> None:
    (page,) = objects(invoke("query", "pages", "--status", "failed", "--json"))
    table = invoke("query", "pages", "--text", "いろは")

    assert (page["name"], page["error"]) == ("g_2", "the file is empty")
    assert "g_1" in table.stdout
    assert "g_2" not in table.stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "command",
    ["status", "failed", "retry", "cancel 1", "query characters 人", "query pages"],
)
def test_json_is_all_that_stands_on_stdout(command: str) -> None:
    result = invoke(*command.split(), "--json")

    assert objects(result)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", ["status", "failed", "query characters 人", "query pages"])
def test_tables_fit_the_terminal(command: str, width: int) -> None:
    from rich.cells import cell_len

    result = CliRunner().invoke(main, command.split(), env={"COLUMNS": str(width)})

    assert result.exit_code == 0
    tables, *_ = result.stdout.partition("no worker reads")  # a sentence may go on in the next line
    assert max(cell_len(line.rstrip()) for line in tables.splitlines()) <= width


def test_the_database_comes_from_the_option_then_from_the_variable(folder: Path) -> None:
    named = invoke("status", "--json", "--db", str(folder / "fumikura.db"))
    by_variable = CliRunner().invoke(
        main, ["status", "--json"], env={"FUMIKURA_DATABASE_URL": f"sqlite:///{folder / 'none.db'}"}
    )

    assert named.exit_code == 0
    assert by_variable.exit_code == 1
    assert "none.db" in by_variable.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("question", [("pages",), ("characters", "人")])
def test_a_run_that_is_not_there_is_no_empty_answer(question: tuple[str, ...]) -> None:
    result = invoke("query", *question, "--run", "77")

    assert result.exit_code == 1
    assert "there is no run 77" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (("g_2",), "the file is empty"),
        (("g_3",), "queued"),
        (("g_4",), "no page"),
        (("g_1", "--run", "77"), "there is no run 77"),
        (("g_1", "--recipe", "none"), "no reading of that run or recipe"),
    ],
)
def test_a_page_that_was_not_read_cannot_be_shown(page: tuple[str, ...], reason: str) -> None:
    result = invoke("show", *page)

    assert result.exit_code == 1
    assert reason in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_page_whose_scan_is_gone_cannot_be_shown() -> None:
    result = invoke("show", "g_1")

    assert result.exit_code == 1
    assert "/scans.zip/g_1.png" in result.stderr


def test_show_draws_the_page_from_the_place_that_still_holds_it(tmp_path: Path, folder: Path) -> None:
    write_read_page(folder)

    result = invoke("show", "g_9", "-o", "drawing.png", "--size", "480", "--json")

    assert objects(result) == [{"page": "g_9", "path": "drawing.png", "characters": 3}]
    with Image.open(tmp_path / "drawing.png") as drawing:
        assert drawing.width >= 360
        assert drawing.height > 480  # there is a legend below


def test_show_draws_again_over_its_own_drawing(folder: Path) -> None:
    write_read_page(folder)

    results = [invoke("show", "g_9", "-o", "drawing.png", "--size", size) for size in ("200", "300")]

    assert [result.exit_code for result in results] == [0, 0]


@pytest.mark.parametrize("theirs", ["g_9.png", "g_9.PNG", "notes.png", "map.pdf"])
def test_show_never_overwrites_what_it_did_not_draw(folder: Path, theirs: str) -> None:
    write_read_page(folder)
    if theirs != "g_9.png":
        (folder / theirs).write_bytes(page_png(1) if theirs == "g_9.PNG" else b"not to be lost")
    before = (folder / theirs).read_bytes()

    result = invoke("show", "g_9", "-o", theirs)

    assert result.exit_code == 2
    assert "-o" in result.stderr
    assert (folder / theirs).read_bytes() == before
    assert invoke("show", "g_9").exit_code == 2  # nor by its own name, where that is the scan's


def test_show_draws_several_pages_a_book_a_pattern_and_a_run(folder: Path) -> None:
    write_read_page(folder)

    for pages in (["g_9"], [folder.name], ["*_9"], ["?_9", "4"], ["--run", "2"]):
        result = invoke("show", *pages, "-o", "drawings/", "--size", "200", "--json")

        assert [one["path"] for one in objects(result)] == ["drawings/g_9.jpg"], pages


def test_show_draws_several_pages_into_one_pdf_and_goes_on_after_one_that_fails(folder: Path) -> None:
    write_read_page(folder)

    result = invoke("show", "g_1", "4", "g_9", "-o", "two.pdf", "--size", "200")

    assert result.exit_code == 3
    assert "/scans.zip/g_1.png" in result.stderr
    assert result.stdout.split() == ["two.pdf"]
    assert (folder / "two.pdf").read_bytes().startswith(b"%PDF")


def test_show_without_a_mask_differs_in_the_mask_alone(folder: Path) -> None:
    write_read_page(folder)

    invoke("show", "g_9", "-o", "with.png", "--size", "200")
    invoke("show", "g_9", "-o", "without.png", "--size", "200", "--no-mask")

    assert (folder / "with.png").read_bytes() != (folder / "without.png").read_bytes()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "name a page, a book or a pattern"),
        (("zz*",), "no page was read whose name is like"),
        (("zz",), "there is no page 'zz'"),
        (("1", "2", "-o", "x.png"), "holds one page and not 2"),
        (("1", "-o", "x.gif"), "no ending of a picture"),
    ],
)
def test_show_says_what_it_cannot_draw(arguments: tuple[str, ...], reason: str) -> None:
    result = invoke("show", *arguments)

    assert result.exit_code in {1, 2}
    assert reason in result.stderr


def test_show_names_the_folder_that_the_drawing_lacks(folder: Path) -> None:
    write_read_page(folder)

    result = invoke("show", "g_9", "-o", "drawings/g_9.png")

    assert result.exit_code == 2
    assert "no folder drawings" in result.stderr


def write_read_page(folder: Path) -> None:
    """Page g_9, whose image lies in the folder; it says 一二三."""
    (folder / "g_9.png").write_bytes(page_png(0))
    engine = open_database("sqlite:///fumikura.db")
    run_id = add_run(engine, RECIPE, command="run g_9.png")
    add_pages(engine, run_id, list_pages([str(folder / "g_9.png")]).pages)
    (claimed,) = claim_pages(engine, 1, recipe=RECIPE, after=3, worker="host/1/1.0")
    save_reading(engine, claimed.reading_id, reading_of("一二三"), worker="host/1/1.0")
    engine.dispose()


@pytest.mark.usefixtures("folder")
def test_doctor_has_a_line_for_each_part_and_fails_if_one_is_red(tmp_path: Path) -> None:
    segmenter, classifier = write_weights(tmp_path)
    weights = ("--segmenter", str(segmenter), "--classifier", str(classifier), "--devices", "cpu")

    well = invoke("doctor", *weights)
    ill = invoke("doctor", *weights, "--json", "--broker", "redis://127.0.0.1:1/0")

    assert well.exit_code == 0, well.output
    parts = ["device", "precision", "weights", "database", "broker", "disk"]
    assert [line.split()[1] for line in well.stdout.splitlines()] == parts
    assert ill.exit_code == 1
    checks = [json.loads(line) for line in ill.stdout.splitlines()]
    assert [check["subject"] for check in checks if not check["is_good"]] == ["broker"]


@pytest.mark.usefixtures("folder")
def test_enqueue_asks_for_pages_and_returns(tmp_path: Path) -> None:
    segmenter, classifier = write_weights(tmp_path)
    write_zip(tmp_path / "book.zip", 3)
    for name in ("notes.txt", "more.txt", "page.jxl"):
        (tmp_path / "scans").mkdir(exist_ok=True)
        (tmp_path / "scans" / name).write_text("no page")
    (tmp_path / "scans" / "page.png").write_bytes(page_png(7))
    weights = ("--segmenter", str(segmenter), "--classifier", str(classifier))

    (added,) = objects(invoke("enqueue", "book.zip", "scans", *weights, "--json"))
    (state,) = objects(invoke("status", "--run", "2", "--json"))

    left_out = {one.pop("kind"): one for one in added.pop("left_out")}
    assert added == {
        "run": 2, "n_pages": 4, "n_queued": 4, "n_done": 0, "n_quarantined": 0, "n_left_out": 3
    }  # fmt: skip
    assert left_out[".txt file"] == {"remedy": "", "n_files": 2, "names": ["more.txt", "notes.txt"]}
    assert left_out["other image"]["n_files"] == 1
    assert left_out["other image"]["remedy"] != ""
    assert state["runs"][0]["queued"] == 4


@pytest.mark.usefixtures("folder")
def test_a_second_cancel_says_that_it_was_cancelled_already() -> None:
    first, second = invoke("cancel", "1"), invoke("cancel", "1")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "1 waiting page cancelled" in first.stderr
    assert "was cancelled already" in second.stderr


@pytest.mark.usefixtures("folder")
def test_the_counts_of_two_recipes_add_up() -> None:
    database = open_database("sqlite:///fumikura.db")
    start_run(database, [make_page(1)], recipe=OTHER_RECIPE)
    start_run(database, [make_page(1)])  # the same page by a second recipe
    database.dispose()

    counted, *_ = (line for line in invoke("status").stdout.splitlines() if "readings:" in line)

    n_pages, n_readings, *counts = (int(number) for number in re.findall(r"\d+", counted))
    assert n_readings == n_pages + 1 == sum(counts)


def test_an_upgrade_says_what_it_made(folder: Path) -> None:
    made, again = (invoke("db", "upgrade", "--db", str(folder / "new.db")) for _ in range(2))

    assert "new.db: made, with tables of version " in made.stderr
    assert "new.db: up to date already, at version " in again.stderr


@pytest.mark.usefixtures("folder")
def test_a_failed_page_that_was_never_tried_alone_has_no_attempts() -> None:
    header, _, row, *_ = invoke("failed").stdout.splitlines()

    assert row[header.index("attempts") :].split()[0] == "–"


@pytest.mark.usefixtures("folder")
def test_what_is_missing_or_to_be_chosen_is_named_in_a_line() -> None:
    missing, chosen = invoke("run", "book.zip", "--truth", "nowhere.csv"), invoke("export", "out")

    assert "there is no nowhere.csv; correct its path" in missing.stderr
    assert "Choose from: txt, koji, jsonl, " in chosen.stderr
