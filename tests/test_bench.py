"""fumikura bench: what it counts, and that it is the reading of a run that it measures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from fumikura.cli.main import main
from fumikura.core.archives.listing import list_pages
from fumikura.core.errors import PageError
from fumikura.core.host import processor
from fumikura.core.recognition.models.inference import Batches, Fill
from fumikura.core.settings import Settings
from fumikura.worker.bench import measure, stages_of
from tests.handmade import BLOTS_PER_PAGE, HEIGHT, page_png, write_weights, write_zip

STAGES = {"decode", "look", "segment", "crop", "classify", "order", "context", "write", "page"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    segmenter, classifier = write_weights(tmp_path_factory.mktemp("weights"))
    return Settings(
        devices="cpu", threads=1, pages_per_batch=2, segmenter_path=segmenter, classifier_path=classifier
    )


def test_a_batch_that_is_not_full_has_slots_that_held_nothing() -> None:
    batches = Batches(nn.Identity(), device="cpu", precision="fp32", batch_size=4)

    batches(torch.zeros(6, 3, 8, 16), lambda model, batch: model(batch))

    assert batches.fill == Fill(n_inputs=6, n_slots=8, n_pixels=6 * 8 * 16)
    assert batches.fill.share == 0.75


def test_nothing_is_filled_before_the_first_batch() -> None:
    assert Fill().share is None


def test_a_stage_is_known_by_its_middle_page_its_slow_pages_and_its_share() -> None:
    timings = [{"decode": 1.0, "write": 1.0 * number} for number in range(21)]

    found = stages_of(timings)

    assert found["decode"] == {"p50_s": 1.0, "p95_s": 1.0, "share": pytest.approx(21 / (21 + 210))}
    assert found["write"] == {"p50_s": 10.0, "p95_s": 19.0, "share": pytest.approx(210 / (21 + 210))}
    assert found["page"] == {"p50_s": 11.0, "p95_s": 20.0, "share": 1.0}


@pytest.mark.slow
def test_pages_are_repeated_to_the_number_asked_for_and_the_warm_up_does_not_count(
    tmp_path: Path, settings: Settings
) -> None:
    write_zip(tmp_path / "book.zip", 3)
    (tmp_path / "cut.png").write_bytes(page_png(9)[:100])
    # The warm-up takes the first two. Then come the third, cut.png, all three, and cut.png once more.
    pages = list_pages([str(tmp_path / "book.zip"), str(tmp_path / "cut.png")]).pages

    found = measure(settings, pages, n_pages=6)

    assert (found.pages, found.failed) == (6, 2)
    assert set(found.stages) == STAGES
    assert found.stages["page"]["share"] == 1
    assert found.inputs_per_page["crops"] == BLOTS_PER_PAGE
    assert found.batch_fill["pages"] == 1  # four pages that can be read, two by two
    assert found.pages_per_second == pytest.approx(4 / found.seconds)
    assert 0 < found.cpu_s <= 4 * found.seconds  # torch's thread, a decoder, the writer, the onlookers
    assert found.gpu_utilisation is None
    assert found.peak_memory_bytes > 50 << 20  # torch alone takes more


@pytest.mark.slow
def test_as_many_workers_are_measured_side_by_side_as_a_run_would_have(
    tmp_path: Path, settings: Settings
) -> None:
    write_zip(tmp_path / "book.zip", 3)
    pages = list_pages([str(tmp_path / "book.zip")]).pages

    found = measure(settings.overridden(devices="cpu:2", chunk_size=2), pages, n_pages=8)
    few = measure(settings.overridden(devices="cpu:2", chunk_size=2), pages, n_pages=2)

    assert (found.workers, found.pages, found.failed) == (2, 8, 0)
    assert found.inputs_per_page["crops"] == BLOTS_PER_PAGE
    # Both read at once: the rate is that of all pages, and more only for who had nothing left at the end.
    assert found.pages_per_second >= 8 / found.seconds
    assert found.seconds_for_10_000_pages == pytest.approx(10_000 / found.pages_per_second)
    assert few.workers == 1  # as one claim holds all pages


@pytest.mark.slow
def test_the_command_says_how_long_many_pages_take_on_which_processor(
    tmp_path: Path, settings: Settings
) -> None:
    write_zip(tmp_path / "book.zip", 1)

    arguments = ["--precision", "fp32", "--against", "bf16", "--rounds", "1", "--total", "250000"]

    result = CliRunner().invoke(
        main, ["bench", str(tmp_path / "book.zip"), *arguments], env=settings.to_environment()
    )

    assert result.exit_code == 0, result.stderr
    *_, fp32, bf16, turns = result.stdout.strip().splitlines()
    where = re.escape(f"on this machine ({processor()}) with 1 worker")
    for line in (fp32, bf16):
        assert re.fullmatch(rf"250,000 pages: about [\d.,]+ (minutes?|hours) {where}", line)
    by = r"by (OpenVINO|torch)"
    assert re.fullmatch(rf"fp32, {by}: × [\d.]+ the pages/s of bf16, {by} \(1 round in turns\)", turns)


@pytest.mark.slow
def test_the_command_resizes_the_pages_and_leaves_a_trace(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zip(tmp_path / "book.zip", 2)
    monkeypatch.chdir(tmp_path)
    arguments = ["book.zip", "--long-side", str(2 * HEIGHT), "--trace", "trace.json", "--json"]
    arguments += ["--precision", "fp32"]  # a trace shows what torch does, not what OpenVINO does

    result = CliRunner().invoke(main, ["bench", *arguments], env=settings.to_environment())

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["long_side"], found["pages"], found["failed"]) == (2 * HEIGHT, 2, 0)
    assert (found["workers"], found["processor"]) == (1, processor())
    assert found["pages_per_hour"] == pytest.approx(3600 * found["pages_per_second"])
    assert found["cpu_s_per_page"] == pytest.approx(found["cpu_s"] / 2)
    shares = [found["stages"][stage]["share"] for stage in ("segment", "classify")]
    assert found["networks_share"] == pytest.approx(sum(shares))
    assert found["seconds_for_10_000_pages"] == pytest.approx(10_000 / found["pages_per_second"])
    names = {event.get("name") for event in json.loads(Path("trace.json").read_text())["traceEvents"]}
    assert {"segment", "crop", "classify", "aten::conv2d"} <= names
    assert {path.name for path in tmp_path.iterdir()} == {"book.zip", "trace.json"}


def test_a_page_that_cannot_be_resized_is_named(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "page.png").write_bytes(page_png(0)[:100])

    with pytest.raises(PageError, match=r"page\.png .*cannot be measured: .*copy it again"):
        measure(settings, list_pages([str(tmp_path)]).pages, n_pages=1, long_side=320)


def test_a_trace_needs_a_folder_to_stand_in(tmp_path: Path, settings: Settings) -> None:
    write_zip(tmp_path / "book.zip", 1)
    arguments = [str(tmp_path / "book.zip"), "--trace", str(tmp_path / "none" / "trace.json")]

    result = CliRunner().invoke(main, ["bench", *arguments], env=settings.to_environment())

    assert result.exit_code == 2
    assert "make it first" in result.stderr
