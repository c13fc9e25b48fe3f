"""fumikura run, whole: a real process with its workers, on small pages and untrained weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.handmade import BLOTS_PER_PAGE, page_png, write_truth, write_weights, write_zip
from tests.iiif_library import add_manifest
from tests.web import running_web

FIGURES = "run pages done failed skipped characters seconds pages_per_second steady_pages_per_second scores"
SCORES = "dice iou accuracy precision recall f1 detection_f1 character_f1 character_accuracy"


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    segmenter, classifier = write_weights(tmp_path_factory.mktemp("weights"))
    return {"FUMIKURA_SEGMENTER_PATH": str(segmenter), "FUMIKURA_CLASSIFIER_PATH": str(classifier)}


@pytest.fixture
def folder(tmp_path: Path, weights: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run."""
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    for name, value in {**weights, "FUMIKURA_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fumikura(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=timeout_s, check=False)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from fumikura.cli.main import main; main()", *arguments]


def last_object(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def counts(figures: dict[str, Any]) -> dict[str, int]:
    return {name: figures[name] for name in ("run", "pages", "done", "failed", "skipped")}


@pytest.mark.slow
def test_a_run_reads_what_lies_behind_urls_if_it_may(folder: Path) -> None:
    write_zip(folder / "book.zip", 2)
    with running_web() as web:
        web.files |= {"/book.zip": (folder / "book.zip").read_bytes(), "/more/p7.png": page_png(7)}
        archives = (f"{web.url}/book.zip", f"{web.url}/more/p7.png")

        refused = fumikura("run", *archives, "--json")
        allowed = fumikura("run", *archives, "--json", "--allow-private-addresses")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "leads to a private address" in refused.stderr
    assert allowed.returncode == 0, allowed.stderr
    assert counts(last_object(allowed)) == {"run": 1, "pages": 3, "done": 3, "failed": 0, "skipped": 0}


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_run_of_a_manifest_names_what_failed_and_the_next_one_fetches_no_more_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FUMIKURA_REQUESTS_PER_SECOND", "1000")
    with running_web() as web:
        url = add_manifest(web, [Image.open(BytesIO(page_png(number))) for number in range(4)])
        gone, busy, cut, _ = images = [f"/book/image%2F{n}/full/max/0/default.jpg" for n in (1, 2, 3, 4)]
        lost = web.files.pop(gone)
        web.statuses[busy], web.retry_after = [429], "1"
        web.cut_off.add(cut)
        run = ("run", url, "--json", "--allow-private-addresses")

        first, failed = fumikura(*run), fumikura("failed", "--json")
        web.files[gone] = lost
        web.cut_off.clear()
        web.asked.clear()
        second = fumikura(*run)

    assert first.returncode == 3, first.stderr
    assert counts(last_object(first)) == {"run": 1, "pages": 4, "done": 2, "failed": 2, "skipped": 0}
    reasons = {page["name"]: page["reason"] for page in map(json.loads, failed.stdout.splitlines())}
    assert reasons.keys() == {"book_0001", "book_0003"}
    assert "there is nothing at" in reasons["book_0001"]
    assert "cut off" in reasons["book_0003"]
    assert counts(last_object(second)) == {"run": 2, "pages": 4, "done": 2, "failed": 0, "skipped": 2}
    assert [path for _, path in web.asked if path in images] == [gone, cut]


@pytest.mark.slow
def test_a_run_reads_all_pages_and_a_second_one_skips_them(folder: Path) -> None:
    write_zip(folder / "book.zip", 3)

    first = fumikura("run", "book.zip", "--json")
    second = fumikura("run", "book.zip", "--json")

    assert first.returncode == 0, first.stderr
    figures = last_object(first)
    assert " ".join(figures) == FIGURES
    assert (figures["run"], figures["pages"], figures["done"], figures["failed"], figures["skipped"]) == (
        1,
        3,
        3,
        0,
        0,
    )
    assert figures["pages_per_second"] == pytest.approx(3 / figures["seconds"], rel=0.05)
    assert figures["characters"] == 3 * BLOTS_PER_PAGE
    assert figures["scores"] is None
    assert second.returncode == 0, second.stderr
    again = last_object(second)
    assert counts(again) == {"run": 2, "pages": 3, "done": 0, "failed": 0, "skipped": 3}
    assert again["characters"] == figures["characters"]
    assert again["seconds"] < 5


@pytest.mark.slow
def test_truth_scores_pages_also_when_they_were_read_before(folder: Path) -> None:
    write_zip(folder / "book.zip", 2)
    write_truth(folder / "truth.csv", 1)

    before = fumikura("run", "book.zip", "--json")
    after = fumikura("run", "book.zip", "--truth", "truth.csv", "--json")
    table = fumikura("run", "book.zip")

    assert last_object(before)["scores"] is None
    assert "truth is known for 1 of 2 pages" in after.stderr
    assert last_object(after)["skipped"] == 2
    scores = last_object(after)["scores"]
    assert " ".join(scores) == SCORES
    assert scores["detection_f1"] == 1.0  # a box around each blot, and a blot in each box
    assert 0 < scores["dice"] < 1
    for heading in ("Dice", "IoU", "precision", "detection F1", "character accuracy"):
        assert heading in table.stdout


@pytest.mark.slow
def test_pages_that_cannot_be_read_end_a_run_with_exit_code_3(folder: Path) -> None:
    (folder / "pages").mkdir()
    (folder / "pages" / "good.png").write_bytes(page_png(0))
    (folder / "pages" / "empty.jpg").write_bytes(b"")
    (folder / "pages" / "cut.png").write_bytes(page_png(1)[:100])

    result = fumikura("run", "pages", "--json")
    failed = fumikura("failed", "--json")

    assert result.returncode == 3, result.stderr
    figures = last_object(result)
    assert (figures["pages"], figures["done"], figures["failed"]) == (3, 1, 2)
    assert "fumikura failed" in result.stderr
    failures = [json.loads(line) for line in failed.stdout.splitlines()]
    assert sorted(failure["name"] for failure in failures) == ["cut", "empty"]
    assert all(failure["reason"] for failure in failures)


@pytest.mark.slow
def test_ctrl_c_hands_pages_back_and_the_same_command_goes_on(folder: Path) -> None:
    write_zip(folder / "book.zip", 24)
    run = subprocess.Popen(
        command("run", "book.zip", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until_some_are_done()

    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=30)
    state = json.loads(fumikura("status", "--run", "1", "--json").stdout)
    resumed = fumikura("run", "book.zip", "--json")

    assert run.returncode == 130, stderr
    assert "same command" in stderr
    assert state["workers"] == []
    assert 0 < state["readings"]["done"] < 24
    assert last_object(resumed)["skipped"] == state["readings"]["done"]
    assert last_object(resumed)["done"] == 24 - state["readings"]["done"]


def wait_until_some_are_done() -> None:
    for _ in range(300):
        status = fumikura("status", "--json")
        if status.returncode == 0 and json.loads(status.stdout)["readings"]["done"]:
            return
        time.sleep(0.1)
    raise AssertionError("no page was read in time")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.zip"], "nowhere.zip"),
        (["run", "empty"], "empty"),
        (["run", "page.png", "--segmenter", "page.png"], "segmenter"),
        (["run", "page.png", "--db", "postgresql://127.0.0.1:1/none"], "127.0.0.1"),
        (["run", "page.png", "--devices", "abacus"], "abacus"),
        (["run", "page.png", "--truth", "page.csv"], "page.csv"),
        (["run", "page.png", "--workers", "0"], "workers"),
        (["worker"], "--broker"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_clear_line(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "page.png").write_bytes(page_png(0))
    (folder / "page.csv").write_text("no,truth\n1,2\n")
    (folder / "empty").mkdir()

    result = fumikura(*arguments)

    assert result.returncode in (1, 2)
    assert result.stdout == ""
    assert words in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("archive", ["nothere.zip", "text.zip"])
def test_an_archive_without_pages_leaves_no_database_behind(folder: Path, archive: str) -> None:
    (folder / "text.zip").write_text("no archive")

    result = fumikura("run", archive)

    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert archive in result.stderr
    assert [path.name for path in folder.iterdir()] == ["text.zip"]


def test_a_mistake_in_the_weights_queues_nothing(folder: Path) -> None:
    (folder / "page.png").write_bytes(page_png(0))

    fumikura("run", "page.png", "--classifier", os.environ["FUMIKURA_SEGMENTER_PATH"])

    assert not (folder / "fumikura.db").exists()
