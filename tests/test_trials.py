"""Grids of trainings: `fumikura tune` and what it is made of."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fumikura.cli.main import main
from fumikura.core.training.grid_search import Trial, best_first, name_of, points_of, run_trials
from fumikura.core.training.lessons import Lessons
from tests.tiny_sets import write_characters, write_patches


class Trainer:
    """Writes the metrics that it is told, and notes where; killed at the given folder."""

    def __init__(self, *losses: float | None, killed_at: str = "") -> None:
        self.losses, self.killed_at = losses, killed_at
        self.trained: list[tuple[str, Lessons]] = []

    def __call__(self, folder: Path, lessons: Lessons) -> Path:
        if folder.name == self.killed_at:
            raise KeyboardInterrupt
        self.trained.append((folder.name, lessons))
        folder.mkdir(parents=True, exist_ok=True)
        rows = [{"epoch": epoch, "validation_loss": loss} for epoch, loss in enumerate(self.losses, start=1)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "weights.safetensors").touch()
        return folder / "weights.safetensors"


def run(train: Trainer, out: Path, grid: dict[str, Any], **options: Any) -> tuple[list[Trial], list[str]]:
    """The trials, and the names of those that were done before."""
    done: list[str] = []
    found = run_trials(
        grid,
        options.pop("lessons", Lessons()),
        out,
        train=train,
        request=options,
        started=lambda name, is_done: done.append(name) if is_done else None,
    )
    return list(found), done


def test_a_grid_is_every_combination_of_what_varies() -> None:
    points = points_of({"learning_rate": (0.1, 0.01), "seed": (1,), "batch_size": (8, 64)})

    assert [tuple(point.values()) for point in points] == [(0.1, 8), (0.1, 64), (0.01, 8), (0.01, 64)]
    assert name_of(points[0]) == "learning_rate=0.1,batch_size=8"
    assert points_of({"seed": (1,)}) == [{}]
    assert name_of({}) == "only"


def test_each_trial_learns_as_its_point_says_and_else_as_all(tmp_path: Path) -> None:
    train = Trainer(0.5)

    run(train, tmp_path, {"pos_weight": (1.0, 20.0), "batch_size": (16,)}, lessons=Lessons(steps=7))

    assert [name for name, _ in train.trained] == ["pos_weight=1.0", "pos_weight=20.0"]
    assert [asdict(lessons) for _, lessons in train.trained] == [
        asdict(Lessons(steps=7, batch_size=16, pos_weight=weight)) for weight in (1.0, 20.0)
    ]


def test_a_grid_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    grid = {"seed": (1, 2, 3)}
    with pytest.raises(KeyboardInterrupt):
        run(Trainer(0.5, killed_at="seed=2"), tmp_path, grid)
    later = Trainer(0.5)

    trials, done = run(later, tmp_path, grid)

    assert done == ["seed=1"]
    assert [name for name, _ in later.trained] == ["seed=2", "seed=3"]
    assert [trial.name for trial in trials] == ["seed=1", "seed=2", "seed=3"]


def test_a_trial_of_another_data_set_or_without_its_weights_is_not_done(tmp_path: Path) -> None:
    grid = {"seed": (1, 2)}
    run(Trainer(0.5), tmp_path, grid, data="one")
    (tmp_path / "seed=2" / "weights.safetensors").unlink()

    _, done = run(Trainer(0.5), tmp_path, grid, data="one")
    _, done_of_other = run(Trainer(0.5), tmp_path, grid, data="other")

    assert (done, done_of_other) == (["seed=1"], [])


def test_a_trial_counts_by_the_epoch_whose_weights_it_kept(tmp_path: Path) -> None:
    losses = (0.9, 0.4, None, 0.6)

    last, _ = run(Trainer(*losses), tmp_path / "last", {})
    best, _ = run(Trainer(*losses), tmp_path / "best", {}, lessons=Lessons(patience=2))

    assert (last[0].kept["epoch"], best[0].kept["epoch"]) == (4, 2)


def test_what_diverged_is_last_whatever_its_score() -> None:
    def trial(seed: int, loss: float | None, score: float) -> Trial:
        row = {"validation_loss": loss, "validation_accuracy": score}
        return Trial({"seed": seed}, Path("weights"), [row], row)

    ordered = best_first([trial(1, None, 0.9), trial(2, 0.1, 0.3), trial(3, 0.2, 0.8)], "validation_accuracy")

    assert [one.point["seed"] for one in ordered] == [3, 2, 1]


def tune(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["tune", *map(str, arguments)])


@pytest.mark.slow
def test_classifiers_are_compared_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    data, out = write_characters(tmp_path / "data.npz", n_each=8), tmp_path / "grid"
    options = ("--model", "simple-cnn", "--steps", 40, "--validation", 0.2, "--out", out)
    grid = ("classifier", "--characters", data, "--learning-rate", "0.000001, 0.003", *options)

    first, again = tune(*grid, "--json"), tune(*grid)

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    better, worse = (json.loads(line) for line in first.stdout.splitlines())
    assert (better["learning_rate"], worse["learning_rate"]) == (0.003, 0.000001)
    assert better["validation_accuracy"] > worse["validation_accuracy"]
    assert Path(better["weights"]) == out / "learning_rate=0.003" / "classifier.safetensors"
    assert first.stderr.count(": training") == 2
    assert again.stderr.count(": done before") == 2
    header = again.stdout.splitlines()[0]
    assert " ".join(header.split()) == "learning rate validation accuracy validation loss epoch time"
    assert (out / "comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_segmenters_are_compared_by_dice(tmp_path: Path) -> None:
    data, out = write_patches(tmp_path / "patches"), tmp_path / "grid"
    options = ("--model", "encoder-decoder", "--steps", 2, "--batch-size", 4, "--validation", 0.25)

    result = tune("segmenter", "--patches", data, "--pos-weight", "1,20", *options, "--out", out, "--json")

    assert result.exit_code == 0, result.output
    trials = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(trial["pos_weight"] for trial in trials) == [1.0, 20.0]
    assert trials[0]["validation_dice"] >= trials[1]["validation_dice"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--learning-rate", "0.1,fast"], "'fast' is not a valid float"),
        (["--batch-size", "8,0"], "0 is not in the range x>=1"),
        (["--augmentation", "none,wild"], "'wild' is not one of"),
        (["--validation", "0"], "give --validation more than 0"),
        (["--patience", "2", "--characters", "nowhere"], "there is no nowhere; correct its path"),
    ],
)
def test_a_grid_that_makes_no_sense_is_one_clear_line(
    tmp_path: Path, options: list[str], complaint: str
) -> None:
    data = write_characters(tmp_path / "data.npz")

    result = tune("classifier", "--characters", data, "--out", tmp_path / "grid", *options)

    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not (tmp_path / "grid").exists()


@pytest.mark.slow
def test_too_few_images_to_compare_trials_by_is_one_clear_line(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches")  # 12 patches, of which a hundredth is none
    options = ("--model", "encoder-decoder", "--steps", 1, "--batch-size", 2, "--validation", 0.01)

    result = tune("segmenter", "--patches", data, *options, "--out", tmp_path / "grid")

    assert result.exit_code == 1
    assert "too few images to keep any for comparing trials; raise --validation" in result.stderr


@pytest.mark.slow
def test_a_folder_of_another_grid_is_refused(tmp_path: Path) -> None:
    data, out = write_characters(tmp_path / "data.npz"), tmp_path / "grid"
    options = ("classifier", "--characters", data, "--model", "simple-cnn", "--validation", 0.2, "--out", out)
    tune(*options, "--steps", 1)

    result = tune(*options, "--steps", 2)

    assert result.exit_code == 1
    assert "holds another training (its steps differ)" in result.stderr
