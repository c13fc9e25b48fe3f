"""Pictures of scores: they are drawn, in Japanese, and show what they should. Warnings are errors here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from fumikura.core.scoring.calibration import reliability
from fumikura.core.training import plots
from fumikura.core.training.grid_search import Trial
from fumikura.core.training.image_sheets import ConfusedPair, draw_pairs, draw_samples
from fumikura.core.training.plots import draw_confusion, draw_reliability, draw_trials, picture, shown

#: Kana, an old kanji, a repeat mark, what begins a formula, and a kanji that our font lacks.
LABELS = ("お", "氣", "〱", "$", "\U00020021")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of the figures that are saved, as a person would read them."""
    texts: list[str] = []
    save = Figure.savefig

    def note(figure: Figure, *positional: object, **options: object) -> None:
        save(figure, *positional, **options)  # type: ignore[arg-type]
        texts.extend(item.get_text() for item in figure.findobj(Text) if isinstance(item, Text))

    monkeypatch.setattr(Figure, "savefig", note)
    return texts


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as image:
        return set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))


def as_rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_what_the_font_lacks_is_named_by_its_code_point_and_never_an_empty_box(tmp_path: Path) -> None:
    with picture(tmp_path / "labels.png", width=3, height=1) as figure:
        figure.text(0.1, 0.5, " ".join(map(shown, LABELS)))  # an empty box would be a warning

    assert [shown(label) for label in LABELS] == ["お", "氣", "〳〵", r"\$", "U+20021"]


def test_an_empty_box_would_be_noticed(tmp_path: Path) -> None:
    with (
        pytest.raises(UserWarning, match=r"Glyph 131105 .* missing from font"),
        picture(tmp_path / "box.png", width=3, height=1) as figure,
    ):
        figure.text(0.1, 0.5, LABELS[-1])


def test_a_small_matrix_shows_every_count_and_every_label(tmp_path: Path, drawn: list[str]) -> None:
    counts = np.diag([91, 92, 93, 94, 95]) + 7 * np.eye(5, k=1, dtype=int)
    counts = np.column_stack([counts, [0, 0, 0, 0, 5]])

    draw_confusion(tmp_path / "matrix.png", counts, LABELS)

    assert {"91", "95", "7", "5", "other", *map(shown, LABELS)} <= set(drawn)
    # 465 of 465 + 4 * 7 + 5.
    assert "498 images of 5 classes, 93.37% rightly read" in drawn


def test_of_five_hundred_classes_the_worst_are_shown_and_look_alikes_side_by_side(
    tmp_path: Path, drawn: list[str]
) -> None:
    labels = [chr(0x4E00 + number) for number in range(500)]
    counts = np.column_stack([50 * np.eye(500, dtype=int), np.zeros(500, int)])
    counts[3, 400], counts[400, 3], counts[7, 123] = 31, 29, 12

    draw_confusion(tmp_path / "matrix.png", counts, labels)

    # 3 beside 400, 7 beside 123, and no other class.
    known = {shown(label): number for number, label in enumerate(labels)}
    classes = [known[text] for text in dict.fromkeys(drawn) if text in known]
    assert sorted(classes) == [3, 7, 123, 400]
    assert abs(classes.index(3) - classes.index(400)) == 1
    assert {"31", "29", "12"} <= set(drawn)
    with Image.open(tmp_path / "matrix.png") as image:
        assert image.width < 3000


def test_a_matrix_without_an_error_can_be_drawn(tmp_path: Path) -> None:
    for n_classes in (1, 40):
        counts = np.eye(n_classes, n_classes + 1, dtype=np.int64)
        draw_confusion(tmp_path / f"{n_classes}.png", counts, ["お"] * n_classes)

        assert (tmp_path / f"{n_classes}.png").exists()


def test_samples_are_green_where_they_are_right_and_red_where_not(tmp_path: Path, drawn: list[str]) -> None:
    images = np.zeros((12, 8, 8), np.uint8)

    draw_samples(tmp_path / "right.png", images[:1], true=["お"], read=["お"])
    draw_samples(tmp_path / "both.png", images, true=["お"] * 12, read=["お"] * 11 + ["を"])

    right, wrong = as_rgb(plots.RIGHT), as_rgb(plots.WRONG)
    assert right in colours(tmp_path / "right.png")
    assert wrong not in colours(tmp_path / "right.png")
    assert {right, wrong} <= colours(tmp_path / "both.png")
    assert {"お → を", "what it is → what was read: 11 of 12 right"} <= set(drawn)


def test_confused_pairs_show_their_images_in_grey_or_colour(tmp_path: Path, drawn: list[str]) -> None:
    grey, red = np.full((2, 8, 8), 77, np.uint8), np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 199
    pairs = [
        ConfusedPair("お", "を", 2, 40, grey, grey, grey[:0]),
        ConfusedPair("\U00020021", "$", 1, 3, red, red, red),
    ]

    draw_pairs(tmp_path / "pairs.png", pairs)
    draw_pairs(tmp_path / "none.png", [])

    assert {(77, 77, 77), (199, 0, 0)} <= colours(tmp_path / "pairs.png")
    assert {"2 of 40 (5.0%)", "お read as を", r"U+20021 → \$"} <= set(drawn)
    assert "を rightly read" not in drawn  # there is no image of it
    assert "no image was misread" in drawn


def test_reliability_says_whether_the_surest_are_right_as_often_as_said(
    tmp_path: Path, drawn: list[str]
) -> None:
    sure = [(0.95, True)] * 9 + [(0.95, False), (0.15, False)]

    draw_reliability(tmp_path / "sure.png", reliability(sure), error=0.05)
    draw_reliability(tmp_path / "unsure.png", reliability([(0.5, True)]), error=0.5)

    said = "of 10 images read with a confidence of 0.9 or more, 90.0% are right"
    assert f"{said}\nexpected calibration error 0.050" in drawn
    assert any(text.startswith("no image was read with a confidence of 0.9 or more") for text in drawn)


def test_trials_are_named_best_first_and_one_that_diverged_is_marked(
    tmp_path: Path, drawn: list[str]
) -> None:
    def trial(rate: float, *rows: tuple[float | None, float | None]) -> Trial:
        metrics = [
            {"epoch": epoch, "train_loss": loss, "validation_loss": loss, "validation_accuracy": accuracy}
            for epoch, (loss, accuracy) in enumerate(rows, start=1)
        ]
        return Trial({"learning_rate": rate}, Path("weights"), metrics, metrics[-1])

    trials = [trial(0.1, (2.3, 0.1), (None, 0.1)), trial(0.01, (0.9, 0.5)), trial(0.001, (0.2, 0.9))]

    draw_trials(tmp_path / "trials.png", trials, metric="validation_accuracy")

    names = [text for text in dict.fromkeys(drawn) if text.startswith("learning rate")]
    assert names == ["learning rate 0.001", "learning rate 0.01", "learning rate 0.1"]
    assert {"0.9000", "0.5000", "diverged"} <= set(drawn)
