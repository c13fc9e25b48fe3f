"""`fumikura train`, with two steps instead of thousands: weights come out that a reader can load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from fumikura.cli.main import main
from fumikura.cli.train import command
from fumikura.core.recognition.models.architectures import CLASSIFIERS
from fumikura.core.recognition.models.checkpoint import (
    load_any_classifier,
    load_classifier,
    load_context,
    load_segmenter,
)
from fumikura.core.recognition.models.simple_cnn import SimpleCNNConfig
from fumikura.core.training import lessons
from fumikura.core.training.segmenter import MODELS
from tests import handmade
from tests.drawn_font import build_font, distinct_shapes
from tests.tiny_sets import write_characters, write_patches

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pages with truth, a font, and a text of the labels that the font draws."""
    (tmp_path / "pages").mkdir()
    for number in range(2):
        (tmp_path / "pages" / f"book_{number:05}_1.png").write_bytes(handmade.page_png(number))
    handmade.write_truth(tmp_path / "coordinate.csv", 2)
    (tmp_path / "fonts").mkdir()
    build_font(tmp_path / "fonts" / "font.ttf", distinct_shapes("あい人"))
    (tmp_path / "transcripts.txt").write_text("# other_00001_1\nあいう一人\n", encoding="utf-8")
    return tmp_path


def train(kind: str, data: Path, *options: str) -> Result:
    arguments = ["train", kind, str(data / "pages"), "--truth", str(data / "coordinate.csv")]
    return CliRunner().invoke(main, [*arguments, "--steps", "2", "--out", str(data / "run"), *options])


def with_texts(data: Path) -> tuple[str, ...]:
    return "--fonts", str(data / "fonts"), "--transcripts", str(data / "transcripts.txt")


def test_a_segmenter_is_trained_and_can_be_begun_with(data: Path) -> None:
    first = train("segmenter", data, "--drawn-pages", "1", *with_texts(data))
    weights = data / "run" / "segmenter.safetensors"
    again = train("segmenter", data, "--out", str(data / "again"), "--start", str(weights))

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert first.stdout.splitlines()[-1] == str(weights)
    load_segmenter(data / "again" / "segmenter.safetensors")


def test_a_classifier_learns_labels_of_crops_and_of_texts(data: Path) -> None:
    result = train("classifier", data, *with_texts(data))

    assert result.exit_code == 0, result.output
    _, _, vocabulary = load_classifier(data / "run" / "classifier.safetensors")
    assert handmade.LABELS[0] in vocabulary  # boxed
    assert "あ" in vocabulary  # drawn
    assert "う" not in vocabulary  # in the text, but neither boxed nor drawn


def test_a_classifier_learns_from_what_others_cut_out_too(data: Path) -> None:
    kmnist = write_characters(data / "kmnist.npz")

    result = train("classifier", data, *with_texts(data), "--with-characters", str(kmnist))

    assert result.exit_code == 0, result.output
    assert "60 cut out by others" in result.stderr
    _, _, vocabulary = load_classifier(data / "run" / "classifier.safetensors")
    assert set("おきすつなはまやれを") <= set(vocabulary.labels)


def test_a_share_of_nothing_cannot_be_kept(data: Path) -> None:
    result = train("classifier", data, *with_texts(data), "--keep", "0.5")

    assert result.exit_code == 2
    assert "give that too" in result.stderr


def test_both_networks_can_be_begun_from_drawn_material_alone(data: Path) -> None:
    sources = (*with_texts(data), "--steps", "1", "--out")
    segmenter = CliRunner().invoke(
        main, ["train", "segmenter", "--drawn-pages", "1", *sources, str(data / "segmenter")]
    )
    classifier = CliRunner().invoke(main, ["train", "classifier", *sources, str(data / "classifier")])

    assert (segmenter.exit_code, classifier.exit_code) == (0, 0), segmenter.output + classifier.output


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
@pytest.mark.parametrize(
    ("options", "is_fast", "in_bf16"),
    [
        ((), True, True),
        ((), False, False),
        (("--precision", "bf16"), False, True),
        (("--precision", "fp32"), True, False),
    ],
)
def test_pages_are_learnt_in_bf16_where_that_is_fast_or_asked_for(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: tuple[str, ...],
    is_fast: bool,
    in_bf16: bool,
) -> None:
    monkeypatch.setattr(lessons, "is_bf16_fast", lambda _: is_fast)
    seen = []

    def see(module: nn.Module, _inputs: object) -> None:
        if isinstance(module, nn.Conv2d):
            seen.append(torch.is_autocast_enabled("cpu"))
            raise InterruptedError  # before a step of emulated bf16, which takes a minute

    hook = register_module_forward_pre_hook(see)
    try:
        train(kind, data, *(with_texts(data) if kind == "classifier" else ()), *options)
    finally:
        hook.remove()

    assert seen == [in_bf16]


def test_one_folder_cannot_hold_two_trainings(data: Path) -> None:
    train("segmenter", data)

    result = train("classifier", data, *with_texts(data))

    assert result.exit_code == 1
    assert "holds another training" in result.stderr


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_training_does_not_go_on_with_another_ones_state(data: Path, kind: str) -> None:
    texts = with_texts(data) if kind == "classifier" else ()
    train(kind, data, *texts)
    seeded = train(kind, data, *texts, "--seed", "2")
    rows = (data / "coordinate.csv").read_text().splitlines()
    (data / "coordinate.csv").write_text("\n".join(rows[:-1]))
    corrected = train(kind, data, *texts)

    assert (seeded.exit_code, corrected.exit_code) == (1, 1)
    assert "(its seed differ)" in seeded.stderr
    assert f"(its {'images' if kind == 'classifier' else 'boxes'} differ)" in corrected.stderr


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_training_that_could_not_begin_leaves_its_folder_free(data: Path, kind: str) -> None:
    (data / "no.safetensors").write_text("weights")
    texts = with_texts(data) if kind == "classifier" else ()

    refused = train(kind, data, *texts, "--start", str(data / "no.safetensors"))

    assert refused.exit_code == 1
    assert train(kind, data, *texts).exit_code == 0


def test_labels_of_the_start_that_are_lost_are_counted(data: Path) -> None:
    train("classifier", data, *with_texts(data))
    (data / "transcripts.txt").write_text("# more_00001_1\nあ\n", encoding="utf-8")
    start = str(data / "run" / "classifier.safetensors")

    result = train("classifier", data, *with_texts(data), "--start", start, "--out", str(data / "again"))

    assert f"2 labels of {start} are lost" in result.stderr


def test_truth_of_another_scan_is_not_learnt(data: Path) -> None:
    for path in (data / "pages").iterdir():
        with Image.open(path) as page:
            page.reduce(4).save(path)

    result = train("segmenter", data)

    assert result.exit_code == 1
    assert "is the truth that of another scan?" in result.stderr


@pytest.mark.parametrize("option", ["--learning-rate", "--pos-weight", "--weight-decay"])
def test_what_is_no_number_is_refused(data: Path, option: str) -> None:
    result = train("segmenter", data, option, "nan")

    assert result.exit_code == 2
    assert "nan is no finite number" in result.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("う".encode("shift_jis"), "is not UTF-8"),
        ("# book_00001_1\nう".encode(), "these fonts draw no character"),
        ("# left_00001_1\nあ".encode("utf-8-sig"), "leave fewer books out"),
    ],
)
def test_texts_that_cannot_be_drawn_are_one_clear_line(data: Path, text: bytes, complaint: str) -> None:
    (data / "transcripts.txt").write_bytes(text)

    result = train("classifier", data, *with_texts(data), "--without-book", "left", "--labels", "1")

    assert result.exit_code == 1
    assert complaint in result.stderr
    assert "Traceback" not in result.output


def test_a_book_to_leave_out_that_is_not_there_is_named(data: Path) -> None:
    (data / "transcripts.txt").write_text("# other_00001_1\nい\n# more_00001_1\nあ\n", encoding="utf-8")

    result = train("classifier", data, *with_texts(data), "--without-book", "other", "--without-book", "bok")

    assert "--without-book bok leaves nothing out" in result.stderr
    assert "--without-book other" not in result.stderr


def test_a_segmenter_needs_something_to_learn_from(data: Path) -> None:
    result = CliRunner().invoke(main, ["train", "segmenter", "--out", str(data / "run")])

    assert result.exit_code == 2
    assert "name an archive of pages" in result.stderr


def test_a_context_is_counted_from_texts(data: Path) -> None:
    texts, out = str(data / "transcripts.txt"), data / "context.safetensors"

    counted = CliRunner().invoke(main, ["train", "context", texts, "--out", str(out)])
    nothing = CliRunner().invoke(main, ["train", "context", texts, "--without-book", "other", "--out", "x"])

    assert counted.exit_code == 0, counted.output
    assert counted.stdout == f"{out}\n"
    assert load_context(out).characters == ("あ", "い", "う", "一", "人")
    assert nothing.exit_code == 1
    assert "there is no text" in nothing.stderr


def test_drawn_pages_need_something_to_draw(data: Path) -> None:
    result = train("segmenter", data, "--drawn-pages", "1")

    assert result.exit_code == 2
    assert "--drawn-pages needs --fonts and --transcripts" in result.stderr


def test_truth_that_fits_no_page_is_one_clear_line(data: Path) -> None:
    result = train("segmenter", data, "--without-book", "book")

    assert result.exit_code == 1
    assert "no page of these archives has boxes" in result.stderr


def test_prepared_characters_are_learnt_and_begun_with(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    options = ["train", "classifier", "--characters", str(data), "--steps", "2", "--batch-size", "8"]
    first = CliRunner().invoke(main, [*options, "--model", "simple-cnn", "--out", str(tmp_path / "first")])
    start = tmp_path / "first" / "classifier.safetensors"
    again = CliRunner().invoke(main, [*options, "--start", str(start), "--out", str(tmp_path / "again")])

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert first.stdout == f"{start}\n"
    assert (tmp_path / "first" / "curves.png").exists()
    assert type(load_any_classifier(tmp_path / "again" / "classifier.safetensors").config) is SimpleCNNConfig


def test_prepared_patches_are_learnt(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches")
    options = ["--epochs", "1", "--batch-size", "4", "--validation", "0.3", "--out", str(tmp_path / "run")]

    result = CliRunner().invoke(
        main,
        ["train", "segmenter", "--patches", str(data), "--model", "encoder-decoder", *options],
    )

    assert result.exit_code == 0, result.output
    (row,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(row)["step"] == 2  # of 12 patches 4 are kept, 4 make a batch


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--model", "unet"], "--model has no meaning without --patches"),
        (["--patience", "3"], "--patience has no meaning without --patches"),
        (["--patches", "DATA", "pages.zip"], "an ARCHIVE has no meaning with --patches"),
        (["--patches", "DATA", "--drawn-pages", "3"], "--drawn-pages has no meaning with --patches"),
        (["--patches", "DATA", "--patience", "3", "--validation", "0"], "give --validation more than 0"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(
    tmp_path: Path, options: list[str], complaint: str
) -> None:
    given = [str(tmp_path) if option == "DATA" else option for option in options]

    result = CliRunner().invoke(main, ["train", "segmenter", *given, "--out", str(tmp_path / "run")])

    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_wrong_option_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    arguments = ["train", "segmenter", "--model", "unet", "--out", str(tmp_path / "run")]
    code = "import atexit, sys; from fumikura.cli.main import main; "
    code += f"atexit.register(lambda: print('torch' in sys.modules)); main({arguments})"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (shown.returncode, shown.stdout) == (2, "False\n")
    assert "--model has no meaning without --patches" in shown.stderr


def test_every_network_can_be_chosen() -> None:
    def choices(kind: str) -> list[str]:
        (model,) = (option for option in command.commands[kind].params if option.name == "model")
        assert isinstance(model.type, click.Choice)
        return sorted(model.type.choices)

    assert choices("classifier") == sorted(CLASSIFIERS)
    assert choices("segmenter") == sorted(MODELS)
