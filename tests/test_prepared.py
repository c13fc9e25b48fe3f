"""Training on prepared data sets: any network learns, stops, resumes, and begins with what another knew."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fumikura.core.errors import CheckpointError, DataSetError, UsageError
from fumikura.core.recognition.models.checkpoint import (
    load_any_classifier,
    load_any_segmenter,
    load_classifier,
    load_segmenter,
    save_classifier,
)
from fumikura.core.recognition.models.simple_cnn import SimpleCNN, SimpleCNNConfig
from fumikura.core.training.classifier import character_images
from fumikura.core.training.datasets.augmentation import moved, sampling_grid, worn
from fumikura.core.training.datasets.loading import load_character_set, load_patch_set
from fumikura.core.training.lessons import Lessons
from fumikura.core.training.loop import Course, Progress, train_network
from fumikura.core.training.segmenter import MODELS, patch_images
from fumikura.core.training.starting_weights import begin_with
from tests.tiny_sets import write_characters, write_patches

pytestmark = pytest.mark.slow

QUICK = Lessons(steps=50, batch_size=12, learning_rate=3e-3, validation=0.0)


def quiet(_step: int, _steps: int, _losses: dict[str, float]) -> None:
    pass


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def characters(
    data: Path,
    folder: Path,
    lessons: Lessons,
    *,
    progress: Progress = quiet,
    start: Path | None = None,
    **options: Any,
) -> Path:
    material = partial(character_images, data, **{"model": "simple-cnn", **options})
    return train_network(material, folder, lessons=lessons, device="cpu", progress=progress, start=start)


def patches(data: Path, folder: Path, lessons: Lessons, *, model: str) -> Path:
    material = partial(patch_images, data, model=model)
    return train_network(material, folder, lessons=lessons, device="cpu", progress=quiet)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two files hold the same bits (the order of their headers is drawn by lot)."""
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stop_at(step: int) -> Progress:
    def progress(done: int, _steps: int, _losses: dict[str, float]) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond some bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("model", ["simple-cnn", "plain-cnn", "resnet", "vit"])
def test_every_classifier_learns_a_tiny_set_in_fifty_steps(tmp_path: Path, model: str) -> None:
    data = write_characters(tmp_path / "kmnist.npz")

    path = characters(data, tmp_path / "run", QUICK, model=model)

    losses = [row["train_loss"] for row in rows_of(tmp_path / "run")]
    assert len(losses) == 10  # 60 images, 12 a step: an epoch is 5 steps
    assert losses[-1] < 0.8 * losses[0]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    loaded = load_any_classifier(path)
    assert "".join(loaded.labels) == "おきすつなはまやれを"


@pytest.mark.parametrize("model", list(MODELS))
def test_every_segmenter_learns_a_tiny_set_in_fifty_steps(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_patches(tmp_path / "patches")
    small = {"unet": {"widths": (8, 16), "bottleneck": 16}, "shipped": {"widths": (8, 16), "bottleneck": 16}}
    monkeypatch.setitem(MODELS, model, replace(MODELS[model], **small.get(model, {})))  # type: ignore[type-var]
    lessons = replace(QUICK, batch_size=4, pos_weight=3, learning_rate=1e-2, validation=0.25)

    path = patches(data, tmp_path / "run", lessons, model=model)

    rows = rows_of(tmp_path / "run")
    assert rows[-1]["train_loss"] < 0.6 * rows[0]["train_loss"]
    assert rows[-1]["validation_dice"] > 0.5
    loaded = load_any_segmenter(path)
    shown = torch.from_numpy(load_patch_set(data, "test").images).permute(0, 3, 1, 2).float() / 255
    assert loaded.model(shown).shape == (12, 1, 32, 32)


@pytest.mark.parametrize("augmentation", ["none", "strong"])
def test_a_training_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path, augmentation: Any) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    lessons = replace(QUICK, steps=130, validation=0.1, patience=50, augmentation=augmentation)
    straight = characters(data, tmp_path / "straight", lessons)
    with pytest.raises(KeyboardInterrupt):
        characters(data, tmp_path / "cut", lessons, progress=stop_at(120))  # state of step 100, epoch 25

    resumed = characters(data, tmp_path / "cut", lessons)

    assert same_weights(resumed, straight)
    rows, straight_rows = rows_of(tmp_path / "cut"), rows_of(tmp_path / "straight")
    assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in straight_rows]


def test_a_full_disk_is_one_clear_line_and_costs_nothing_that_was_saved(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    lessons = replace(QUICK, steps=130)
    straight = characters(data, tmp_path / "straight", lessons)
    with pytest.raises(KeyboardInterrupt):
        characters(data, tmp_path / "run", lessons, progress=stop_at(120))
    saved = (tmp_path / "run" / "state.safetensors").read_bytes()

    with full_disk(100_000), pytest.raises(CheckpointError, match="free some space") as caught:
        characters(data, tmp_path / "run", lessons)

    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == saved
    assert not list((tmp_path / "run").glob("*.unfinished"))
    assert same_weights(characters(data, tmp_path / "run", lessons), straight)


def test_weights_that_the_disk_has_no_room_for_leave_the_old_file(tmp_path: Path) -> None:
    config = SimpleCNNConfig(n_classes=2)
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, SimpleCNN(config), config, ["の", "人"])
    before = path.read_bytes()

    with full_disk(100_000), pytest.raises(CheckpointError, match="cannot be written"):
        save_classifier(path, SimpleCNN(config), config, ["の", "人"])

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_patience_counts_looks_without_a_lower_loss() -> None:
    model = nn.Linear(1, 1, bias=False)
    course = Course(model, patience=2)
    over = []

    for weight, loss in ((1.0, 3.0), (2.0, 2.0), (3.0, 2.5), (4.0, 2.0)):
        nn.init.constant_(model.weight, weight)
        course.look(loss)
        over.append(course.is_over)
    course.restore_best()

    assert over == [False, False, False, True]
    assert model.weight.item() == 2.0


def test_training_ends_early_where_there_is_nothing_to_learn(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz", shuffled=True)
    lessons = replace(QUICK, steps=500, validation=0.3, patience=3)

    characters(data, tmp_path / "run", lessons)
    again = characters(data, tmp_path / "run", lessons)  # over is over

    losses = [row["validation_loss"] for row in rows_of(tmp_path / "run")]
    assert len(losses) == losses.index(min(losses)) + 1 + 3
    assert len(losses) < 100
    best = load_any_classifier(again)
    kept = torch.randperm(60, generator=torch.Generator().manual_seed(1))[42:]
    images = load_character_set(data, "train")
    logits = best.model(best.crops_of(images.images[kept.numpy()]))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(images.targets)[kept])
    assert loss.item() == pytest.approx(min(losses), abs=0.01)  # files hold half precision


def test_dark_ink_is_learnt_and_named_as_bright_ink_is(tmp_path: Path) -> None:
    bright = write_characters(tmp_path / "bright.npz")
    dark = write_characters(tmp_path / "dark.npz", dark_ink=True)

    first, second = (
        load_any_classifier(characters(data, tmp_path / data.stem, QUICK)) for data in (bright, dark)
    )

    images = load_character_set(bright, "test").images
    # Only rounding differs: 255 - x is taken from 1 after it was divided.
    assert torch.allclose(
        first.model(first.crops_of(images)), second.model(second.crops_of(255 - images)), atol=0.1
    )


def test_all_but_a_last_layer_of_another_size_is_taken_over(tmp_path: Path) -> None:
    torch.manual_seed(0)
    taught = SimpleCNN(SimpleCNNConfig(n_classes=3))
    save_classifier(tmp_path / "start.safetensors", taught, SimpleCNNConfig(n_classes=3), ["の", "人", "心"])
    model = SimpleCNN(SimpleCNNConfig(n_classes=2))
    fresh = {name: value.clone() for name, value in model.state_dict().items()}

    begin_with(model, tmp_path / "start.safetensors", labels=["花", "心"])

    # As files hold it, in half precision.
    known = {name: value.half().float() for name, value in taught.state_dict().items()}
    begun = model.state_dict()
    assert torch.equal(begun["features.0.weight"], known["features.0.weight"])
    assert torch.equal(begun["head.4.weight"][0], fresh["head.4.weight"][0])
    assert torch.equal(begun["head.4.weight"][1], known["head.4.weight"][2])


def test_another_network_cannot_be_begun_with(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    start = characters(data, tmp_path / "simple", replace(QUICK, steps=1))

    with pytest.raises(CheckpointError, match="holds a simple-cnn, not a resnet"):
        characters(data, tmp_path / "run", QUICK, model="resnet", start=start)
    with pytest.raises(CheckpointError, match="is another network"):
        characters(data, tmp_path / "run", QUICK, model=None, crop_side=64, start=start)
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_read_pages_are_refused_for_that(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches")
    classifier = characters(write_characters(tmp_path / "k.npz"), tmp_path / "c", replace(QUICK, steps=1))
    segmenter = patches(data, tmp_path / "s", replace(QUICK, steps=1), model="encoder-decoder")

    loads: tuple[tuple[Callable[[Path], Any], Path], ...] = (
        (load_classifier, classifier),
        (load_segmenter, segmenter),
    )
    for load, path in loads:
        with pytest.raises(CheckpointError, match="wrote for pages"):
            load(path)


def test_one_folder_holds_one_training(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    characters(data, tmp_path / "run", replace(QUICK, steps=1))

    with pytest.raises(CheckpointError, match="its seed and steps differ"):
        characters(data, tmp_path / "run", replace(QUICK, steps=2, seed=2))


def test_a_folder_that_says_nothing_of_a_kept_share_is_gone_on_with(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    characters(data, tmp_path / "run", replace(QUICK, steps=1))
    path = tmp_path / "run" / "config.json"
    values = json.loads(path.read_text())
    del values["kept"]
    path.write_text(json.dumps(values))

    with pytest.raises(CheckpointError, match="its kept differ"):
        characters(data, tmp_path / "run", replace(QUICK, steps=1, kept=0.5))
    characters(data, tmp_path / "run", replace(QUICK, steps=1))


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    characters(data, tmp_path / "run", replace(QUICK, steps=1))
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])

    with pytest.raises(CheckpointError, match="is damaged; delete it"):
        characters(data, tmp_path / "run", replace(QUICK, steps=1))


def test_the_state_of_an_earlier_version_is_not_passed_over(tmp_path: Path) -> None:
    data = write_characters(tmp_path / "kmnist.npz")
    characters(data, tmp_path / "run", replace(QUICK, steps=1))
    (tmp_path / "run" / "state.safetensors").rename(tmp_path / "run" / "state.pt")

    with pytest.raises(CheckpointError, match="earlier version of fumikura; go on with that one, or delete"):
        characters(data, tmp_path / "run", replace(QUICK, steps=1))


def test_images_of_a_size_that_a_network_cannot_take_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a vit cannot take images of 30 pixels"):
        characters(write_characters(tmp_path / "k.npz"), tmp_path / "c", QUICK, model="vit", crop_side=30)
    with pytest.raises(UsageError, match="multiple of 8 pixels, not of 30"):
        patches(write_patches(tmp_path / "patches", n=1, side=30), tmp_path / "s", QUICK, model="unet")
    assert not (tmp_path / "c").exists()
    assert not (tmp_path / "s").exists()


def test_a_set_that_validation_eats_up_is_an_error(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches", n=1)

    with pytest.raises(DataSetError, match="too few to learn from"):
        patches(data, tmp_path / "run", replace(QUICK, validation=0.9), model="unet")


def test_rotation_turns_about_the_middle_by_ten_degrees_at_most() -> None:
    image = torch.zeros(200, 1, 41, 41)
    image[:, :, 20, 38] = 1  # 18 pixels to the right of the middle

    turned = moved(
        image, sampling_grid(200, 41, "rotation", torch.Generator().manual_seed(1)), outside="zeros"
    )

    heaviest = turned[:, 0].flatten(1).argmax(dim=1)
    heights = (heaviest // 41 - 20).abs()
    assert heights.max() == 3  # 18 sin 10° = 3.1
    assert heights.min() == 0


def test_masks_move_with_their_patches() -> None:
    masks = torch.zeros(8, 1, 64, 64)
    masks[:, :, 20:40, 25:50] = 1
    generator = torch.Generator().manual_seed(3)

    grid = sampling_grid(8, 64, "strong", generator)
    turned = moved(1 - masks, grid, outside="reflection")
    wanted = moved(masks, grid, outside="reflection", mode="nearest")

    assert not torch.equal(wanted, masks)
    assert ((turned < 0.5) == (wanted > 0.5)).float().mean() > 0.99


def test_worn_crops_lose_a_square_of_a_third_of_their_side() -> None:
    crops = torch.ones(50, 1, 30, 30)
    crops[:, :, ::2] = 0  # whatever the stroke, its mean is no pixel of it

    changed = worn(crops, torch.Generator().manual_seed(2)) == crops.mean()

    assert changed.flatten(1).sum(dim=1).max() == 10 * 10
