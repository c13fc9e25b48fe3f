"""Training: targets, losses, crops that look as the reader cuts them, and going on after an end."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from safetensors import SafetensorError
from torch import Tensor, nn

from fumikura.core.errors import CheckpointError, DataSetError, TruthError
from fumikura.core.recognition.models.checkpoint import (
    load_classifier,
    load_segmenter,
    save_classifier,
    save_segmenter,
)
from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
from fumikura.core.recognition.models.unet import UNet, UNetConfig
from fumikura.core.training.classifier import mixed_crops
from fumikura.core.training.datasets.augmentation import FOR_CROPS, FOR_CUT_OUT, FOR_GLYPHS, distort
from fumikura.core.training.datasets.crop_bank import (
    BANK_SIDE,
    CROP_SIDE,
    CropBank,
    bank_of_characters,
    bank_of_crops,
    character_bank,
)
from fumikura.core.training.datasets.crop_mixture import draw_batch, real_part, show
from fumikura.core.training.datasets.loading import CharacterSet
from fumikura.core.training.datasets.targets import draw_targets
from fumikura.core.training.datasets.training_pages import (
    MILD,
    VARIED,
    RandomPatches,
    Variety,
    draw_training_pages,
    load_training_pages,
)
from fumikura.core.training.drawing.fonts import load_fonts
from fumikura.core.training.drawing.synthetic import render_many
from fumikura.core.training.lessons import Lessons, Source
from fumikura.core.training.loop import fit, renew_statistics, train_network
from fumikura.core.training.segmenter import boxed_pages, focal_loss
from fumikura.core.training.starting_weights import begin_with, keep_part
from fumikura.core.vocabulary import Vocabulary
from tests.drawn_font import build_font, distinct_shapes

BOXES = [(300, 100, 80, 80), (300, 200, 80, 80), (150, 100, 80, 80)]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A folder with one page of three black squares, and its truth."""
    page = Image.new("RGB", (480, 640), "ivory")
    draw = ImageDraw.Draw(page)
    with (tmp_path / "coordinate.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Unicode", "Image", "X", "Y", "Width", "Height"])
        for x, y, width, height in BOXES:
            draw.rectangle((x, y, x + width - 1, y + height - 1), fill="black")
            rows.writerow(["U+306E", "100000001_00001_1", x, y, width, height])
    page.save(tmp_path / "100000001_00001_1.png")
    return tmp_path


def test_the_centre_is_the_only_peak_of_a_box() -> None:
    targets = draw_targets(np.array([[10, 20, 20, 30]], np.float32), 64)

    mask, centre, log_width, log_height, near = targets
    assert mask.sum() == 20 * 30
    assert np.argwhere(centre == 1).tolist() == [[35, 20]]
    assert np.exp(log_width[near == 1]) == pytest.approx(20)
    assert np.exp(log_height[near == 1]) == pytest.approx(30)
    assert not near[mask == 0].any()


def test_a_box_over_the_edge_has_mask_but_no_peak() -> None:
    targets = draw_targets(np.array([[-15, 0, 20, 20], [-50, 0, 20, 20]], np.float32), 64)

    assert targets[0].sum() == 5 * 20
    assert targets[1].max() < 1


@given(st.lists(st.tuples(*[st.floats(-20, 80)] * 2, *[st.floats(0.05, 60)] * 2), max_size=5))
def test_boxes_of_any_place_and_size_can_be_drawn(boxes: list[tuple[float, ...]]) -> None:
    targets = draw_targets(np.array(boxes, np.float32).reshape(-1, 4), 64)

    assert targets[:2].min() >= 0
    assert targets[:2].max(initial=0) <= 1


def test_focal_loss_is_small_only_for_the_right_answer() -> None:
    target = torch.zeros(1, 4, 4)
    target[0, 1, 2] = 1
    right = torch.where(target == 1, 8.0, -8.0)

    assert focal_loss(right, target, torch.ones(1, 4, 4)) < 1e-3
    assert focal_loss(-right, target, torch.ones(1, 4, 4)) > 100


def test_what_is_unknown_costs_nothing() -> None:
    target = torch.zeros(1, 4, 4)
    wrong = torch.full((1, 4, 4), 8.0)

    assert focal_loss(wrong, target, torch.zeros(1, 4, 4)) == 0


def test_pages_come_with_their_boxes_at_working_resolution(book: Path) -> None:
    (page,) = load_training_pages([str(book)], [book / "coordinate.csv"])

    # 640 pixels become 1280: everything doubles.
    assert page.pixels.shape == (3, 1280, 960)
    assert page.boxes.tolist() == [[2.0 * side for side in box] for box in BOXES]
    assert page.labels == ("の", "の", "の")
    assert not page.ignored.any()


def test_unlabelled_ink_of_a_partial_page_is_ignored(book: Path) -> None:
    lines = (book / "coordinate.csv").read_text().splitlines()
    (book / "coordinate.csv").write_text("\n".join(lines[:-1]))

    (page,) = load_training_pages([str(book)], [], [book / "coordinate.csv"])

    assert page.ignored[200:250, 300:330].any()  # the edge of the third square has no box now
    assert not page.ignored[200:360, 600:760].any()  # the first has
    assert not page.ignored[1000:].any()  # paper is known to be paper


def test_of_lines_one_learns_where_no_text_is(book: Path) -> None:
    box = "<bndbox><xmin>100</xmin><ymin>50</ymin><xmax>200</xmax><ymax>150</ymax></bndbox>"
    layout = f"<annotation><object><name>2_handwritten</name>{box}</object></annotation>"
    (book / "coordinate.csv").unlink()
    (book / "100000001_00001_1.xml").write_text(layout)

    (page,) = load_training_pages([str(book)], [book])

    assert (len(page.boxes), page.labels) == (0, ())
    assert page.ignored[100:300, 200:400].all()  # 640 pixels become 1280
    assert page.ignored.sum() == 200 * 200


def test_a_page_that_cannot_be_read_is_named(book: Path) -> None:
    (book / "100000001_00001_1.png").write_bytes(b"")

    with pytest.raises(DataSetError, match="page 100000001_00001_1: the file is empty"):
        load_training_pages([str(book)], [book / "coordinate.csv"])


def test_two_pages_of_one_name_do_not_share_their_boxes(book: Path) -> None:
    (book / "again").mkdir()
    Image.new("RGB", (480, 640)).save(book / "again" / "100000001_00001_1.png")

    with pytest.raises(TruthError, match="two different pages"):
        load_training_pages([str(book)], [book / "coordinate.csv"])


def test_a_book_can_be_kept_out(book: Path) -> None:
    with pytest.raises(TruthError, match="no page of these archives has boxes"):
        load_training_pages([str(book)], [book / "coordinate.csv"], without_books=["100000001"])


def test_patches_and_targets_stay_in_step(book: Path) -> None:
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])

    patches = RandomPatches(pages, side=128, seed=4)

    for patch, targets, weights in (patches[number] for number in range(6)):
        grey = patch.mean(dim=0)
        if 0.05 < targets[0].mean() < 0.95:
            assert grey[targets[0] == 1].mean() + 0.3 < grey[targets[0] == 0].mean()
        assert weights.min() == 1


def test_mild_patches_keep_sizes_nearly_as_they_are(book: Path) -> None:
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])

    def widths(variety: Variety) -> Tensor:
        patches = RandomPatches(pages, side=256, seed=4, variety=variety)
        shown = [patches[number][1] for number in range(30)]
        return torch.cat([targets[2][targets[4] == 1].exp() for targets in shown])

    mild = widths(MILD)
    assert 160 / 1.25 < mild.min() < 150 < 170 < mild.max() < 160 * 1.25
    assert widths(VARIED).max() > 160 * 1.25


def test_patch_n_is_always_the_same(book: Path) -> None:
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])

    first, second = (RandomPatches(pages, side=64, seed=4)[7] for _ in range(2))

    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_middle_of_a_banked_crop_is_what_the_reader_cuts(book: Path) -> None:
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])

    bank = bank_of_crops(pages, Vocabulary(["人", "の"]))

    assert bank.numbers.tolist() == [1, 1, 1]
    # The box is 64 / 1.15 of the middle 64 pixels: ink from about 20 to about 76.
    rows = torch.nonzero(bank.images[2, 0, :, BANK_SIDE // 2] > 128).flatten()
    assert [int(rows[0]), int(rows[-1])] == pytest.approx([20, 75], abs=1)


@pytest.mark.parametrize("is_bright", [True, False])
def test_what_others_cut_out_is_banked_as_the_reader_would_cut_it(is_bright: bool) -> None:
    images = np.full((2, 28, 28), 0 if is_bright else 230, np.uint8)
    images[1, 4:24, 8:18] = 255 if is_bright else 20

    bank = bank_of_characters(
        CharacterSet(images, np.array([1, 0]), ("氣", "の")), Vocabulary(["の", "人", "気"])
    )

    assert bank.numbers.tolist() == [0, 2]
    assert not bank.images[0].any()
    rows, columns = (torch.nonzero(bank.images[1, 0].amax(dim=side) > 128).flatten() for side in (1, 0))
    # As any box, 64 / 1.15 pixels high; and narrower than 0.6 of that, it keeps some paper at its sides.
    assert [int(rows[0]), int(rows[-1])] == pytest.approx([20, 75], abs=1)
    assert [int(columns[0]), int(columns[-1])] == pytest.approx([25, 70], abs=1)


@pytest.mark.parametrize("strength", [FOR_CROPS, FOR_CUT_OUT, FOR_GLYPHS])
def test_distorted_ink_is_dark_on_light_and_stays_in_the_crop(strength: object) -> None:
    darkness = torch.zeros(32, 1, BANK_SIDE, BANK_SIDE)
    darkness[..., 30:66, 30:66] = 1

    crops, _ = distort(darkness, strength, torch.Generator().manual_seed(1))  # type: ignore[arg-type]

    assert crops.shape == (32, 1, CROP_SIDE, CROP_SIDE)
    assert crops.min() >= 0
    assert crops.max() <= 1
    middle = crops[..., 28:36, 28:36].mean(dim=(1, 2, 3))
    assert torch.all(middle + 0.1 < crops.amax(dim=(1, 2, 3)))


@pytest.mark.parametrize(("width", "height"), [(40, 40), (12, 40), (40, 16)])
def test_the_true_box_of_a_distorted_crop_surrounds_its_ink(width: int, height: int) -> None:
    ink = torch.zeros(height, width, dtype=torch.uint8).numpy() + 255
    bank = character_bank([ink] * 8, torch.zeros(8, dtype=torch.long))
    part = replace(real_part(bank), strength=replace(FOR_CROPS, rotation=0.0, elastic=0.0, stroke=0.0))
    drawn = draw_batch([part], 64, torch.Generator().manual_seed(3))

    seen = show([part], drawn, torch.Generator().manual_seed(5))

    side = (torch.arange(CROP_SIDE) + 0.5) / CROP_SIDE * 2 - 1
    off = []
    for crop, corners in zip(seen.crops[:, 0], seen.corners, strict=True):
        is_ink = crop < (crop.min() + crop.max()) / 2
        across, down = side[is_ink.any(dim=0)], side[is_ink.any(dim=1)]
        found = torch.stack([across[0], down[0], across[-1], down[-1]])
        off.append((found - corners.clamp(-1, 1)).abs())
    # Stains of the paper are as dark as ink in some.
    assert torch.stack(off).median() < 0.04
    assert torch.stack(off).quantile(0.8) < 0.1


def test_a_crop_tells_the_shape_of_the_box_by_which_it_was_cut() -> None:
    bank = CropBank(
        torch.zeros(1, 1, BANK_SIDE, BANK_SIDE, dtype=torch.uint8),
        torch.tensor([0]),
        torch.tensor([[0.5, -0.2]]),
    )
    still = replace(FOR_CROPS, rotation=0.0, scale=0.0, shift=0.0, elastic=0.0)
    part = replace(real_part(bank), strength=still)
    drawn = draw_batch([part], 200, torch.Generator().manual_seed(1))

    shapes = show([part], drawn, torch.Generator().manual_seed(1)).shapes
    hidden = show([replace(part, has_shapes=False)], drawn, torch.Generator().manual_seed(1)).shapes

    told = shapes[~shapes.isnan().any(dim=1)]
    assert 140 < len(told) < 180  # four of five
    assert torch.allclose(told, torch.tensor([0.5, -0.2]), atol=1e-5)
    assert hidden.isnan().all()


def train_line(
    folder: Path, *, stop_after: int | None = None, steps: int = 250, averaged: float = 0.0
) -> tuple[Tensor, list[int], list[int]]:
    """Fit a line; the weights, the steps that were seen and those that were told."""
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    seen: list[int] = []
    told: list[int] = []

    def batch_of(step: int) -> Sequence[Tensor]:
        if step == stop_after:
            raise KeyboardInterrupt
        seen.append(step)
        inputs = torch.randn(8, 2, generator=torch.Generator().manual_seed(step))
        return inputs, inputs.sum(dim=1, keepdim=True)

    def losses(model: nn.Module, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        return {"square": (model(batch[0]).float() - batch[1]).square().mean()}

    fit(
        model,
        Source(batch_of, losses, steps, facts={}),
        folder,
        lessons=Lessons(learning_rate=0.05, averaged=averaged),
        device="cpu",
        progress=lambda step, _steps, _means: told.append(step),
    )
    return model.weight.detach(), seen, told


def test_training_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    straight, *_ = train_line(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train_line(tmp_path / "cut", stop_after=130)

    resumed, seen, told = train_line(tmp_path / "cut")

    assert seen[0] == told[0] == 100  # the last saved state
    assert torch.equal(resumed, straight)
    assert straight == pytest.approx(torch.ones(1, 2), abs=0.05)


@pytest.mark.parametrize("steps", range(1, 25))
def test_a_training_may_have_any_number_of_steps(tmp_path: Path, steps: int) -> None:
    _, seen, _ = train_line(tmp_path, steps=steps)

    assert len(seen) == steps


def test_a_training_that_is_complete_is_shown_as_such(tmp_path: Path) -> None:
    train_line(tmp_path)

    _, seen, told = train_line(tmp_path)

    assert (seen, told) == ([], [250])


def test_the_running_mean_of_the_weights_is_what_a_training_ends_with(tmp_path: Path) -> None:
    last, _, _ = train_line(tmp_path / "last", steps=120)
    mean, _, _ = train_line(tmp_path / "mean", steps=120, averaged=0.9)
    with pytest.raises(KeyboardInterrupt):
        train_line(tmp_path / "cut", steps=120, averaged=0.9, stop_after=107)

    resumed, _, _ = train_line(tmp_path / "cut", steps=120, averaged=0.9)

    assert not torch.equal(mean, last)
    assert torch.equal(resumed, mean)


def test_statistics_are_renewed_where_weights_are_averaged() -> None:
    model = nn.BatchNorm1d(1)
    source = Source(
        lambda step: [torch.full((4, 1), float(step % 2)) + torch.tensor([[0.0], [0.0], [2.0], [2.0]])],
        lambda model, batch: {"none": model(batch[0]).sum()},
        100,
        facts={},
    )

    renew_statistics(model, source, device="cpu")

    assert model.running_mean is not None
    assert model.running_mean.tolist() == pytest.approx([1.5])
    assert model.momentum == 0.1
    assert not model.training


def test_a_larger_classifier_begins_with_what_a_smaller_one_knows(tmp_path: Path) -> None:
    config = GlyphNetConfig(n_classes=2)
    torch.manual_seed(0)
    start = GlyphNet(config).eval()
    save_classifier(tmp_path / "start.safetensors", start, config, ["人", "の"])
    larger = GlyphNet(replace(config, sees_shapes=True, finds_boxes=True)).eval()

    begin_with(larger, tmp_path / "start.safetensors", labels=["人", "の"])

    crops = torch.rand(3, 1, CROP_SIDE, CROP_SIDE)
    with torch.inference_mode():
        assert torch.allclose(
            larger.look(crops, torch.ones(3, 2))[0], start(crops), atol=2e-2
        )  # kept in half
    with pytest.raises(CheckpointError, match="another network"):
        begin_with(nn.Linear(2, 2), tmp_path / "start.safetensors", labels=["人", "の"])


def test_a_classifier_begins_with_what_another_knows_of_the_same_labels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GlyphNetConfig(n_classes=2)
    start = GlyphNet(config)
    save_classifier(tmp_path / "start.safetensors", start, config, ["人", "の"])
    nothing = Lessons(steps=1, batch_size=2, learning_rate=0.0)
    bank = CropBank(
        torch.zeros(2, 1, BANK_SIDE, BANK_SIDE, dtype=torch.uint8), torch.tensor([0, 1]), torch.zeros(2, 2)
    )

    path = train_network(
        partial(mixed_crops, [real_part(bank)], ["の", "心", "人"]),
        tmp_path / "run",
        lessons=nothing,
        device="cpu",
        progress=lambda *_: None,
        start=tmp_path / "start.safetensors",
    )

    begun, _, _ = load_classifier(path)
    weights, wanted = begun.state_dict(), start.state_dict()
    assert torch.allclose(
        weights["head.6.weight"][[2, 0]], wanted["head.6.weight"], atol=1e-3
    )  # kept in half
    assert torch.allclose(weights["stem.0.weight"], wanted["stem.0.weight"], atol=1e-3)


def test_a_part_of_what_a_classifier_began_with_is_kept(tmp_path: Path) -> None:
    config = GlyphNetConfig(n_classes=2)
    torch.manual_seed(0)
    start = GlyphNet(config)
    save_classifier(tmp_path / "start.safetensors", start, config, ["人", "の"])
    learnt = GlyphNet(GlyphNetConfig(n_classes=3))
    before = {name: weights.clone() for name, weights in learnt.state_dict().items()}

    keep_part(learnt, tmp_path / "start.safetensors", 0.25, labels=["の", "心", "人"])

    after, begun = learnt.state_dict(), start.state_dict()
    for name, rows in (("stem.0.weight", slice(None)), ("head.6.weight", [2, 0]), ("head.6.bias", [2, 0])):
        wanted = 0.75 * before[name][rows] + 0.25 * begun[name]
        assert torch.allclose(after[name][rows], wanted, atol=1e-3)  # kept in half
    assert torch.equal(after["head.6.weight"][1], before["head.6.weight"][1])  # 心, which the start lacks


def test_a_page_drawn_without_text_is_learnt_as_empty(tmp_path: Path) -> None:
    fonts = load_fonts([build_font(tmp_path / "font.ttf", distinct_shapes("あい人"))])
    render_many(2, tmp_path / "drawn", ["あい人"], fonts=fonts, seed=1, empty_share=1)

    pages = draw_training_pages(2, tmp_path / "drawn", ["あい人"], fonts, seed=1)

    assert [len(page.boxes) for page in pages] == [0, 0]
    assert not any(page.ignored.any() for page in pages)


def test_drawn_pages_of_another_number_are_not_learnt(tmp_path: Path) -> None:
    fonts = load_fonts([build_font(tmp_path / "font.ttf", distinct_shapes("あい人"))])
    draw_training_pages(2, tmp_path / "drawn", ["あい人"], fonts, seed=1)

    with pytest.raises(CheckpointError, match="holds 2 drawn pages and not 3"):
        draw_training_pages(3, tmp_path / "drawn", ["あい人"], fonts, seed=1)


def test_old_kanji_are_learnt_as_new_ones(book: Path) -> None:
    path = book / "coordinate.csv"
    path.write_text(path.read_text().replace("U+306E", f"U+{ord('氣'):X}"))
    pages = load_training_pages([str(book)], [path])

    bank = bank_of_crops(pages, Vocabulary(["気"]))

    assert bank.numbers.tolist() == [0, 0, 0]


@pytest.mark.slow
def test_a_segmenter_learns_to_find_squares(book: Path, tmp_path: Path) -> None:
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])
    losses: list[dict[str, float]] = []

    path = train_network(
        partial(boxed_pages, pages, config=UNetConfig(widths=(4, 8), bottleneck=8), patch_side=64),
        tmp_path / "run",
        lessons=Lessons(batch_size=4, steps=120, learning_rate=1e-2),
        device="cpu",
        progress=lambda _step, _steps, means: losses.append(dict(means)),
    )

    assert path.is_file()
    assert losses[-1]["mask"] < 0.6 * losses[1]["mask"]  # the first is from before any step


def teach(book: Path, folder: Path, lessons: Lessons, *, start: Path | None = None) -> Path:
    """Train a small segmenter of pages; the weights."""
    pages = load_training_pages([str(book)], [book / "coordinate.csv"])
    config = UNetConfig(widths=(4, 8), bottleneck=8)
    material = partial(boxed_pages, pages, config=config, patch_side=64)
    return train_network(
        material, folder, lessons=lessons, device="cpu", progress=lambda *_: None, start=start
    )


@pytest.mark.parametrize(
    "other",
    [{"weight_decay": 0.5}, {"schedule": "constant"}, {"smoothing": 0.1}, {"kept": 0.5}, {"seed": 2}],
    ids=lambda other: next(iter(other)),
)
def test_a_folder_of_pages_is_not_gone_on_with_under_other_lessons(
    book: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    lessons = Lessons(batch_size=1, steps=1)
    teach(book, tmp_path / "run", lessons)

    with pytest.raises(CheckpointError, match=f"its {next(iter(other))} differ"):
        teach(book, tmp_path / "run", replace(lessons, **other))
    teach(book, tmp_path / "run", lessons)


def test_the_config_names_every_lesson_and_what_was_begun_with(book: Path, tmp_path: Path) -> None:
    lessons = Lessons(batch_size=1, steps=1)
    start = teach(book, tmp_path / "first", lessons)

    teach(book, tmp_path / "run", lessons, start=start)

    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config.items() >= asdict(lessons).items()
    assert config["start"] == hashlib.sha256(start.read_bytes()).hexdigest()


def test_a_segmenter_is_of_the_kind_that_it_begins_with(book: Path, tmp_path: Path) -> None:
    config = UNetConfig(widths=(4,), bottleneck=4)
    torch.manual_seed(7)
    save_segmenter(tmp_path / "start.safetensors", UNet(config), config)
    nothing = Lessons(batch_size=1, steps=1, learning_rate=0.0)

    path = teach(book, tmp_path / "run", nothing, start=tmp_path / "start.safetensors")

    (begun, wanted), (taught, found) = load_segmenter(tmp_path / "start.safetensors"), load_segmenter(path)
    assert found == wanted == config
    for name, weights in begun.named_parameters():
        assert torch.equal(taught.get_parameter(name), weights)


def test_a_disk_that_is_full_is_told_even_where_the_library_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SafetensorError

    monkeypatch.setattr("fumikura.core.training.state_file.save_file", fail)

    with pytest.raises(CheckpointError, match=r"cannot be saved in .* \(SafetensorError\); free some space"):
        train_line(tmp_path, steps=1)


def test_a_training_by_steps_loads_no_plots() -> None:
    code = "import sys, fumikura.core.training.loop; print('matplotlib' in sys.modules)"

    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert shown.stdout == "False\n"
