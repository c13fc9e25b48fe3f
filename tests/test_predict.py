"""`fumikura predict`: the weights that ship name printed characters, whatever the image's form."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw, ImageFont

from fumikura.cli.main import main
from fumikura.core.lettering import font_path
from fumikura.core.recognition.models.checkpoint import save_classifier
from fumikura.core.recognition.models.simple_cnn import SimpleCNN, SimpleCNNConfig
from fumikura.core.recognition.single_characters import with_surroundings

#: What tells two characters apart that the shipped weights read surely in print.
PRINTED = "山の"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FUMIKURA_DEVICES", "cpu")
    monkeypatch.chdir(tmp_path)


def printed(label: str, size: int = 64) -> Image.Image:
    """A character in print, black on white, with a margin around it."""
    image = Image.new("L", (size, size), 255)
    font = ImageFont.truetype(font_path(), round(0.9 * size))
    ImageDraw.Draw(image).text((size / 2, size / 2), label, fill=0, font=font, anchor="mm")
    return image


def predict(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["predict", *arguments])


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def on_nothing(image: Image.Image) -> Image.Image:
    """The ink alone, with nothing below it."""
    return Image.merge("LA", (Image.new("L", image.size, 0), image.point(lambda value: 255 - value)))


_FORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "bilevel.png": lambda image: image.convert("1"),
    "grey.tif": lambda image: image,
    "grey16.png": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    "palette.png": lambda image: image.convert("P"),
    "colour.jpg": lambda image: image.convert("RGB"),
    "inks.jpg": lambda image: image.convert("CMYK"),
    "transparent.png": on_nothing,
    "large.png": lambda image: image.resize((512, 512)),
}


def test_a_character_is_the_same_in_every_kind_of_image(tmp_path: Path) -> None:
    for name, convert in _FORMS.items():
        convert(printed("の")).save(tmp_path / name)

    result = predict(".", "--json")

    assert result.exit_code == 0, result.output
    found = {row["image"]: row["labels"] for row in objects(result)}
    assert {name: labels[0]["label"] for name, labels in found.items()} == dict.fromkeys(_FORMS, "の")
    sure = [labels[0]["confidence"] for labels in found.values()]
    assert all(np.array(sure) > 0.5)
    for labels in found.values():
        confidences = [label["confidence"] for label in labels]
        assert len(confidences) == 5
        assert confidences == sorted(confidences, reverse=True)


def test_files_folders_patterns_and_zips_are_read_in_their_order(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for label in PRINTED:
            printed(label).save(tmp_path / folder / f"{label}.png")
    with zipfile.ZipFile("three.zip", "w") as archive:
        archive.write(tmp_path / "one" / "の.png", "deep/の.png")

    result = predict("one/の.png", "two", "o*/山.png", "three.zip", "--json", "--top", "1")

    assert result.exit_code == 0, result.output
    assert [(row["image"], row["labels"][0]["label"]) for row in objects(result)] == [
        ("one/の.png", "の"),
        ("two/の.png", "の"),
        ("two/山.png", "山"),
        ("one/山.png", "山"),
        ("three.zip/deep/の.png", "の"),
    ]


def test_a_broken_image_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    printed("の").save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    (tmp_path / "3.jpg").write_text("<html>404 not found</html>")
    printed("の").resize((2, 64)).save(tmp_path / "4.png")
    printed("の").save(tmp_path / "5.png")

    table, lines = predict("."), predict(".", "--json")

    assert (table.exit_code, lines.exit_code) == (3, 3)
    assert [("error" in row, "labels" in row) for row in objects(lines)] == [
        (False, True),
        *[(True, False)] * 3,
        (False, True),
    ]
    assert "2.png was left out: the image is cut off" in table.stderr
    assert "3.jpg was left out: not an image but a text that begins" in table.stderr
    assert "4.png was left out: the image has only 2 × 64 pixels; no side may be under 3" in table.stderr
    assert table.stdout.splitlines()[0].split() == ["image", "label", "confidence", "next", "best"]
    assert [line.split()[:2] for line in table.stdout.splitlines()[2:4]] == [["1.png", "の"], ["5.png", "の"]]


def test_light_ink_is_turned_over_when_asked(tmp_path: Path) -> None:
    printed("の").point(lambda value: 255 - value).save(tmp_path / "light.png")

    result = predict("light.png", "--inverted", "--json")

    assert objects(result)[0]["labels"][0]["label"] == "の"


def test_a_close_cut_gets_the_margin_that_the_reader_leaves() -> None:
    cut = np.full((20, 10, 3), 200, np.uint8)
    cut[5:15, 3:7] = 30

    wide = with_surroundings(cut)

    # 20 x 1.15 = 23 high; the short side is 0.6 of the long one, 12 x 1.15 = 13.8 wide.
    assert wide.shape == (24, 14, 3)
    assert (wide[2:22, 2:12] == cut).all()
    assert (wide[:2] == 200).all()
    assert (wide[:, :2] == 200).all()


def test_a_square_is_taken_for_a_crop_with_its_margin() -> None:
    square = np.arange(28 * 28 * 3, dtype=np.uint8).reshape(28, 28, 3)

    assert with_surroundings(square) is square


def test_any_classifier_names_at_most_the_labels_it_has(tmp_path: Path) -> None:
    config = SimpleCNNConfig(n_classes=2)
    save_classifier(tmp_path / "two.safetensors", SimpleCNN(config), config, PRINTED)
    printed("の").save(tmp_path / "の.png")

    result = predict("の.png", "--classifier", "two.safetensors", "--json")

    labels = objects(result)[0]["labels"]
    assert {one["label"] for one in labels} == set(PRINTED)
    assert sum(one["confidence"] for one in labels) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["absent.png"], 1, "there is nothing at absent.png"),
        ([], 2, "Missing argument 'IMAGE...'"),
        (["の.png", "--classifier", "absent"], 1, "no classifier weights at absent"),
        (["の.png", "--classifier", "の.png"], 1, "no readable safetensors file"),
        (["の.png", "--device", "tpu"], 2, "'tpu' is no device"),
        (["empty"], 3, "holds no JPEG, PNG, TIFF, JPEG 2000, WebP, HEIC, AVIF, BMP or GIF images, or PDF"),
    ],
)
def test_what_cannot_be_named_is_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    printed("の").save(tmp_path / "の.png")
    (tmp_path / "empty").mkdir()
    if arguments == ["empty"]:
        arguments = ["の.png", "empty"]

    result = predict(*arguments)

    assert result.exit_code == code
    assert complaint in result.stderr
    assert "Traceback" not in result.output
