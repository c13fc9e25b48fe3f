"""`fumikura evaluate segmenter` and `classifier`, whole: on data sets in folders and in one file."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.recognition.models.checkpoint import save_classifier
from fumikura.core.recognition.models.simple_cnn import SimpleCNN, SimpleCNNConfig
from fumikura.core.training.classifier import character_images
from fumikura.core.training.lessons import Lessons
from fumikura.core.training.loop import train_network
from tests import handmade
from tests.tiny_sets import write_characters

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights, and the data set that they know by heart."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_characters(folder / "kmnist.npz")
    lessons = Lessons(steps=60, batch_size=20, learning_rate=3e-3, validation=0.0)
    weights = train_network(
        partial(character_images, data, model="simple-cnn"),
        folder,
        lessons=lessons,
        device="cpu",
        progress=lambda *_: None,
    )
    return weights, data


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FUMIKURA_DEVICES", "cpu")
    monkeypatch.chdir(tmp_path)


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def untrained(path: Path, labels: str) -> Path:
    """A classifier that takes everything for its first label."""
    config = SimpleCNNConfig(n_classes=len(labels))
    model = SimpleCNN(config)
    for parameter in model.parameters():
        parameter.data.zero_()
    list(model.parameters())[-1].data[0] = 1  # the last bias
    save_classifier(path, model, config, labels)
    return path


def write_folders(
    folder: Path, labels: str, *, n_each: int = 2, splits: tuple[str, ...] = ("train", "test")
) -> Path:
    for split in splits:
        for number, label in enumerate(labels):
            place = folder / split / f"U+{ord(label):04X}"
            place.mkdir(parents=True)
            for image in range(n_each):
                Image.new("L", (32, 32), 10 * number + image).save(place / f"{image}.png")
    return folder


def test_a_classifier_is_scored_on_the_test_images_of_a_published_file(trained: tuple[Path, Path]) -> None:
    result = evaluate("classifier", *trained, "--json")

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["images"], found["classes"]) == (60, 10)
    assert found["accuracy"] == found["macro_f1"] == 1.0
    assert found["confusions"] == []


def test_labels_are_of_the_data_set_whatever_their_order_in_the_weights(tmp_path: Path) -> None:
    data = write_folders(tmp_path / "data", "あいう", n_each=3)

    result = evaluate("classifier", untrained(tmp_path / "weights", "いうあえ"), data, "--json")

    found = json.loads(result.stdout)
    assert found["accuracy"] == found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["macro_precision"] == pytest.approx((3 / 9 + 0 + 0) / 3)
    assert [tuple(one.values()) for one in found["confusions"]] == [("う", "い", 3, 3), ("あ", "い", 3, 3)]


def test_figures_bins_and_confusions_are_tables_and_pictures_are_drawn(
    tmp_path: Path, trained: tuple[Path, Path]
) -> None:
    weights, _ = trained
    data = write_characters(tmp_path / "kmnist.npz", shuffled=True)

    result = evaluate("classifier", weights, data, "--out", "pictures", "--limit", "3")

    assert result.exit_code == 0, result.output
    assert all(name in result.stdout for name in ("balanced accuracy", "By confidence", "read as"))
    confusions = result.stdout.split("Most frequent confusions")[1].splitlines()[3:]
    assert len([line for line in confusions if line.strip()]) == 3
    names = ("confused_pairs", "confusion_matrix", "reliability", "samples")
    assert sorted(path.name for path in Path("pictures").iterdir()) == [f"{name}.png" for name in names]
    assert result.stderr.count("picture: pictures/") == 4


def test_ink_that_is_light_can_be_turned_over(tmp_path: Path, trained: tuple[Path, Path]) -> None:
    weights, _ = trained
    data = write_characters(tmp_path / "dark.npz", dark_ink=True)

    as_it_is, inverted = (
        json.loads(evaluate("classifier", weights, data, "--json", *options).stdout)["accuracy"]
        for options in ((), ("--inverted",))
    )

    assert as_it_is < 0.5
    assert inverted == 1.0


def test_labels_that_the_weights_do_not_know_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    weights = untrained(tmp_path / "weights", "あい")
    data = write_folders(tmp_path / "data", "あえお")

    refused = evaluate("classifier", weights, data)
    without = evaluate("classifier", weights, data, "--known-labels", "--json")

    assert refused.exit_code == 1
    assert "do not know 2 labels of the data set (え お), of 4 of 6 test images" in refused.stderr
    assert json.loads(without.stdout)["images"] == 2


@pytest.mark.parametrize(
    ("kind", "weights", "data", "complaint"),
    [
        ("classifier", "classifier.safetensors", "absent", "there is no data set at absent"),
        ("classifier", "absent", "folders", "absent is no readable safetensors file"),
        ("classifier", "segmenter.safetensors", "folders", "holds segmenter, not a classifier"),
        ("classifier", "classifier.safetensors", "only_train", "only_train/test is no data set"),
        ("classifier", "classifier.safetensors", "kanji", "no test image"),
        ("segmenter", "classifier.safetensors", "folders", "holds classifier, not a segmenter"),
        ("segmenter", "segmenter.safetensors", "folders", "has no images in test/images"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_line(
    tmp_path: Path, kind: str, weights: str, data: str, complaint: str
) -> None:
    handmade.write_weights(tmp_path)
    write_folders(tmp_path / "folders", "一二")
    write_folders(tmp_path / "only_train", "一二", splits=("train",))
    write_folders(tmp_path / "kanji", "一").joinpath("train").rename(tmp_path / "unused")
    (tmp_path / "kanji" / "test" / "U+4E00").rename(tmp_path / "kanji" / "U+4E00")
    (tmp_path / "kanji" / "test").rmdir()

    result = evaluate(kind, weights, data)

    assert result.exit_code == 1
    assert complaint in result.stderr
    assert "Traceback" not in result.output


def test_a_segmenter_is_scored_over_all_test_patches(tmp_path: Path) -> None:
    segmenter, _ = handmade.write_weights(tmp_path)  # takes darkness for ink
    for kind in ("images", "masks"):
        (tmp_path / "patches" / "test" / kind).mkdir(parents=True)
    for number, (ink, truth) in enumerate([(slice(0, 8), slice(4, 12)), (slice(0, 0), slice(0, 0))]):
        image, mask = np.full((16, 16, 3), 255, np.uint8), np.zeros((16, 16), np.uint8)
        image[ink], mask[truth] = 0, 255
        Image.fromarray(image).save(tmp_path / "patches" / "test" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "patches" / "test" / "masks" / f"{number}.png")

    lines = evaluate("segmenter", segmenter, "patches", "--json")
    table = evaluate("segmenter", segmenter, "patches", "--threshold", "1")

    found = json.loads(lines.stdout)
    # Rows 0 to 7 are found, 4 to 11 are true, of 32 rows in all.
    assert (found["patches"], found["threshold"]) == (2, 0.5)
    assert (found["precision"], found["recall"], found["dice"]) == (0.5, 0.5, 0.5)
    assert found["iou"] == pytest.approx(4 / 12)
    assert found["accuracy"] == pytest.approx(24 / 32)
    assert table.stdout.split()[:4] == ["patches", "2", "threshold", "1.000"]
    assert "precision –" in " ".join(table.stdout.split())  # nothing is above a probability of one


@pytest.mark.parametrize("name", ["train segmenter", "train classifier", "tune segmenter", "prepare glyphs"])
def test_help_needs_nothing_that_only_training_needs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    result = CliRunner().invoke(main, [*name.split(), "--help"])

    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name} [OPTIONS]")


def test_what_only_training_needs_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, trained: tuple[Path, Path]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "sklearn" else name)

    result = evaluate("classifier", *trained)

    assert result.exit_code == 2
    assert "this needs sklearn; pip install 'fumikura[training]'" in result.stderr
