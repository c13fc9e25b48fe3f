"""`fumikura prepare`: what is cut and counted, books kept apart, and nothing left of what went wrong."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.errors import DataSetError
from fumikura.core.training.datasets.loading import load_character_set, load_patch_set
from fumikura.core.training.datasets.splits import choose_test_books
from tests.drawn_font import build_font, distinct_shapes

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 120, 160
#: x, y, width, height, label. Ink fills the box.
Mark = tuple[int, int, int, int, str]
MARKS: dict[str, tuple[Mark, ...]] = {
    "learnt_00001_1": ((0, 0, 32, 32, "一"), (60, 0, 20, 40, "人")),
    "learnt_00002_1": ((40, 80, 40, 40, "一"), (90, 120, 30, 40, "を")),
    "tested_00001_1": ((40, 20, 40, 80, "一"), (0, 120, 20, 20, "心")),
}


def write_page(path: Path, marks: tuple[Mark, ...]) -> None:
    grey = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for x, y, width, height, _ in marks:
        grey[y : y + height, x : x + width] = 0
    Image.fromarray(grey).convert("RGB").save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pages of one book and one of another, with CODH's table."""
    (tmp_path / "pages").mkdir()
    rows = ["Unicode,Image,X,Y,Width,Height"]
    for name, marks in MARKS.items():
        write_page(tmp_path / "pages" / f"{name}.png", marks)
        rows += [f"U+{ord(label):04X},{name},{x},{y},{w},{h}" for x, y, w, h, label in marks]
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def prepare(kind: str, data: Path, *options: str) -> Result:
    paths = (str(data / "pages"), "--truth", str(data / "truth.csv"), "--out", str(data / "set"))
    return CliRunner().invoke(main, ["prepare", kind, *paths, "--test-book", "tested", *options])


def manifest(data: Path) -> Any:
    return json.loads((data / "set" / "manifest.json").read_text(encoding="utf-8"))


def read_pair(data: Path, split: str, name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    with Image.open(data / "set" / split / "images" / f"{name}.png") as image:
        pixels = np.asarray(image)
    with Image.open(data / "set" / split / "masks" / f"{name}.png") as mask:
        return pixels, np.asarray(mask)


def test_whole_pages_and_masks_are_squeezed_in_step(data: Path) -> None:
    result = prepare("pages", data, "--size", "80")

    assert result.exit_code == 0, result.output
    image, mask = read_pair(data, "test", "tested_00001_1")
    assert (image.shape, mask.shape) == ((80, 80, 3), (80, 80))
    # The box 40, 20, 40 × 80 of a page of 120 × 160: x from 26.7 to 53.3, y from 10 to 50.
    assert mask[10:50, 27:53].all()
    assert not mask[:9].any()
    assert not mask[9:51, 55:].any()
    assert ((image[..., 0] < 128) == mask).mean() > 0.98  # they differ on edges, if at all
    assert manifest(data)["train"]["n_pages"] == 2


def test_patches_are_cut_with_the_stride_and_the_last_one_at_the_edge(data: Path) -> None:
    result = prepare("patches", data, "--long-side", "160", "--side", "64", "--stride", "32")

    assert result.exit_code == 0, result.output
    # y at 0, 32, 64, 96 and x at 0, 32 and 56, where the page ends.
    names = {path.stem for path in (data / "set" / "test" / "images").iterdir()}
    assert names == {f"tested_00001_1_y{y:04}_x{x:04}" for y in (0, 32, 64, 96) for x in (0, 32, 56)}
    image, mask = read_pair(data, "test", "tested_00001_1_y0064_x0056")
    assert mask[:36, :24].all()  # the box ends at y = 100, x = 80
    assert np.count_nonzero(mask) == 36 * 24
    assert ((image[..., 0] < 128) == mask).all()


def test_training_patches_with_too_little_mask_are_dropped_and_counted(data: Path) -> None:
    options = ("--long-side", "160", "--side", "64", "--stride", "64", "--json")

    result = prepare("patches", data, *options, "--min-mask", "0.05", "--min-test-mask", "0.2")

    # Patches at y 0, 64, 96 and x 0, 56 have in pixels of 4096
    # page 1: 32·32 + 4·40 = 1184 and 20·40 = 800, then nothing;
    # page 2: 0 and 0; 24·40 = 960 and 24·40 + 30·8 = 1200; 24·24 = 576 and 24·24 + 30·40 = 1776;
    # test, where a fifth is asked for, 819: 24·44 = 1056 and the same; 24·36 + 20·8 = 1024 and
    # 24·36 = 864; 24·4 + 20·20 = 496 and 24·4.
    assert json.loads(result.stdout) == {
        "out": str(data / "set"),
        "kind": "patches",
        "train": {"n_books": 1, "n_pages": 2, "n_patches": 6, "n_dropped": 6},
        "test": {"n_books": 1, "n_pages": 1, "n_patches": 4, "n_dropped": 2},
    }
    patches = load_patch_set(data / "set", "train")
    assert sorted(patches.masks.sum((1, 2))) == [576, 800, 960, 1184, 1200, 1776]


def test_every_test_patch_is_kept_unless_asked_otherwise(data: Path) -> None:
    prepare("patches", data, "--long-side", "160", "--side", "64", "--stride", "64", "--min-mask", "0.2")

    assert manifest(data)["test"]["n_patches"] == 6
    assert manifest(data)["train"] == {
        "n_books": 1,
        "n_pages": 2,
        "n_patches": 4,
        "n_dropped": 8,
        "books": ["learnt"],
        "pages": {
            name: hashlib.sha256((data / "pages" / f"{name}.png").read_bytes()).hexdigest()
            for name in ("learnt_00001_1", "learnt_00002_1")
        },
    }


def test_mask_images_serve_as_well_as_boxes(data: Path) -> None:
    (data / "truth.csv").unlink()
    (data / "truth.csv").mkdir()  # a folder of masks in its place
    for name, marks in MARKS.items():
        mask = np.zeros((HEIGHT, WIDTH), bool)
        for x, y, width, height, _ in marks:
            mask[y : y + height, x : x + width] = True
        Image.fromarray(mask).save(data / "truth.csv" / f"{name}.png")

    result = prepare("patches", data, "--long-side", "160", "--side", "64", "--stride", "64")

    assert result.exit_code == 0, result.output
    image, mask = read_pair(data, "train", "learnt_00001_1_y0000_x0000")
    assert np.count_nonzero(mask) == 1184
    assert ((image[..., 0] < 128) == mask).all()


def test_kaggles_table_serves_as_well(data: Path) -> None:
    rows = [
        f"{name},{' '.join(f'U+{ord(label):04X} {x} {y} {w} {h}' for x, y, w, h, label in marks)}"
        for name, marks in MARKS.items()
    ]
    (data / "truth.csv").write_text("\n".join(["image_id,labels", *rows]) + "\n")

    result = prepare("characters", data, "--min-images", "1")

    assert result.exit_code == 0, result.output
    assert manifest(data)["train"]["n_images"] == 4


def test_characters_are_sorted_into_folders_that_load_again(data: Path) -> None:
    result = prepare("characters", data, "--min-images", "1", "--size", "16")

    assert result.exit_code == 0, result.output
    assert {path.name for path in (data / "set" / "train").iterdir()} == {"U+4E00", "U+4EBA", "U+3092"}
    train, test = load_character_set(data / "set", "train"), load_character_set(data / "set", "test")
    assert sorted(train.labels[target] for target in train.targets) == ["を", "一", "一", "人"]
    assert [test.labels[target] for target in test.targets] == ["一"]  # 心 is in no training book
    assert train.images.shape == (4, 16, 16, 3)
    assert (train.images[:, 4:12, 4:12] == 0).all()  # ink in the middle, whatever is around it
    assert manifest(data)["train"]["images"] == {"一": 2, "を": 1, "人": 1}
    assert manifest(data)["test"]["images"] == {"一": 1, "を": 0, "人": 0}


def test_only_the_commonest_classes_of_the_training_books_are_taken(data: Path) -> None:
    prepare("characters", data, "--min-images", "1", "--top", "2", "--grey")

    train = load_character_set(data / "set", "train")
    assert set(train.labels) == {"一", "を"}  # を and 人 are as common; を has the lower code point
    assert train.images.ndim == 3


def test_partial_truth_serves_for_characters_alone(data: Path) -> None:
    paths = [str(data / "pages"), "--partial-truth", str(data / "truth.csv"), "--out", str(data / "set")]
    options = ["--test-book", "tested", "--min-images", "2", "--json"]

    characters = CliRunner().invoke(main, ["prepare", "characters", *paths, *options])
    patches = CliRunner().invoke(main, ["prepare", "patches", *paths])

    assert json.loads(characters.stdout)["train"]["n_images"] == 2
    assert patches.exit_code == 2


def test_the_same_command_makes_the_same_files(data: Path) -> None:
    options = ("--long-side", "160", "--side", "64")
    prepare("patches", data, *options)
    prepare("patches", data, *options, "--out", str(data / "again"))

    first, again = (
        {path.relative_to(data / name): path.read_bytes() for path in (data / name).rglob("*.*")}
        for name in ("set", "again")
    )
    assert first == again


@pytest.fixture
def fonts(tmp_path: Path) -> list[str]:
    """Two fonts that draw あい人, and a text in which あ is commonest, then 人; only one draws う."""
    build_font(tmp_path / "brush.ttf", distinct_shapes("あい人"))
    build_font(tmp_path / "block.ttf", distinct_shapes("うあい人"))
    (tmp_path / "text.txt").write_text("# other_00001_1\nうううあああ人人い\n", encoding="utf-8")
    texts = ["--transcripts", str(tmp_path / "text.txt"), "--out", str(tmp_path / "set")]
    return ["prepare", "glyphs", "--fonts", str(tmp_path), *texts, "--test-book", "block", "--json"]


def test_glyphs_are_drawn_of_labels_that_fonts_of_both_splits_have(tmp_path: Path, fonts: list[str]) -> None:
    result = CliRunner().invoke(main, [*fonts, "--labels", "2", "--images-a-class", "10", "--size", "28"])

    assert result.exit_code == 0, result.output
    train, test = load_character_set(tmp_path / "set", "train"), load_character_set(tmp_path / "set", "test")
    assert set(train.labels) == {"あ", "人"}
    assert np.bincount(train.targets).tolist() == [10, 10]
    assert np.bincount(test.targets).tolist() == [2, 2]
    assert train.images.shape == (20, 28, 28)
    assert train.images.mean() > 128  # ink is dark, paper light
    assert json.loads(result.stdout)["test"] == {"n_books": 1, "n_classes": 2, "n_images": 4}


def test_more_labels_than_the_fonts_draw_are_refused(tmp_path: Path, fonts: list[str]) -> None:
    result = CliRunner().invoke(main, [*fonts, "--labels", "4"])

    assert result.exit_code == 1
    assert "the texts have 3 labels that fonts of both splits draw, not 4" in result.stderr
    assert not (tmp_path / "set").exists()


def test_a_share_of_the_books_is_chosen_by_their_names_and_the_seed() -> None:
    books = [f"book{number}" for number in range(10)]

    chosen = {seed: choose_test_books(books, (), share=0.3, seed=seed) for seed in range(20)}

    assert {len(some) for some in chosen.values()} == {3}
    assert len(set(chosen.values())) > 1
    assert choose_test_books(reversed(books * 2), (), share=0.3, seed=0) == chosen[0]
    assert len(choose_test_books(books, (), share=1, seed=0)) == 9
    assert len(choose_test_books(books, (), share=0, seed=0)) == 1
    with pytest.raises(DataSetError, match=r"all is of one book, book0; .*--test-book"):
        choose_test_books(["book0"], (), share=0.3, seed=0)


def give_a_mask_of_another_size(data: Path) -> None:
    Image.new("1", (WIDTH, HEIGHT + 1)).save(data / "learnt_00002_1.png")


def add_row(row: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with (data / "truth.csv").open("a") as file:
            file.write(f"{row}\n")

    return spoil


def lose_a_column(data: Path) -> None:
    text = (data / "truth.csv").read_text().replace("Width,Height", "Width")
    (data / "truth.csv").write_text(text)


def rename_what_is_tested(data: Path) -> None:
    text = (data / "truth.csv").read_text().replace("U+4E00,tested", "U+5FC3,tested")
    (data / "truth.csv").write_text(text)


def damage_a_page(data: Path) -> None:
    path = data / "pages" / "learnt_00002_1.png"
    path.write_bytes(path.read_bytes()[:80])


def fill_the_folder(data: Path) -> None:
    (data / "set").mkdir()
    (data / "set" / "mine.txt").write_text("mine")


def nothing(data: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("kind", "spoil", "options", "complaint"),
    [
        (
            "patches",
            give_a_mask_of_another_size,
            ("--truth", "learnt_00002_1.png"),
            "page learnt_00002_1 has 120 × 160 pixels and its mask 120 × 161",
        ),
        (
            "pages",
            add_row("U+4E00,learnt_00002_1,100,0,21,9"),
            (),
            "page learnt_00002_1 has 120 × 160 pixels, but a box of 21 × 9 at x=100, y=0",
        ),
        ("pages", add_row("U+4E00,learnt_00002_1,-1,0,9,9"), (), "a box of 9 × 9 at x=-1, y=0"),
        ("characters", add_row("U+110000,learnt_00002_1,0,0,9,9"), (), "truth.csv, line 8: 'U+110000"),
        ("pages", lose_a_column, (), "truth.csv, line 1: there is no column Height"),
        ("pages", damage_a_page, (), "page learnt_00002_1: the image is"),
        ("pages", fill_the_folder, (), "there is something at"),
        (
            "pages",
            nothing,
            ("--test-book", "other"),
            "no book 'other' to test on; the books are learnt, tested",
        ),
        ("pages", nothing, ("--test-book", "learnt"), "--test-book names every book"),
        ("patches", nothing, ("--long-side", "160"), "less than a patch of 128; raise --long-side"),
        (
            "patches",
            nothing,
            ("--long-side", "160", "--side", "64", "--min-mask", "1"),
            "each patch of the train books has less mask",
        ),
        ("characters", nothing, ("--min-images", "3"), "no label has 3 boxes in the training books"),
        ("characters", rename_what_is_tested, ("--min-images", "1"), "no box of the test books has a label"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    data: Path, kind: str, spoil: Callable[[Path], None], options: tuple[str, ...], complaint: str
) -> None:
    spoil(data)
    before = sorted(data.rglob("*"))

    result = prepare(kind, data, *(str(data / word) if word.endswith(".png") else word for word in options))

    assert result.exit_code == 1
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(data.rglob("*")) == before


def test_a_disk_that_takes_no_more_leaves_nothing(data: Path) -> None:
    before = sorted(data.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))  # bytes of one file: the manifest has more
    try:
        result = prepare("pages", data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert result.exit_code == 1
    assert "the disk is full" in result.stderr
    assert sorted(data.rglob("*")) == before


_FILL = """
import sys; from pathlib import Path; import numpy as np
from fumikura.core.training.preparing.writing import new_data_set, write_png
with new_data_set(Path(sys.argv[1]) / "set") as folder:
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64), np.uint8)
    for number, pixels in enumerate(noise):
        write_png(folder / f"{number}.png", pixels)
"""


def test_a_full_disk_is_named_and_emptied_again(tmp_path: Path) -> None:
    """100 images of 4 kB go onto a disk of 64 kB, in a namespace where any user may mount one."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path}"
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")

    shown = subprocess.run(
        [*unshare, f'{mount} && {{ "$0" -c "$1" {tmp_path}; ls -A {tmp_path}; }}', sys.executable, _FILL],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )

    assert "DataSetError: the disk is full (No space left on device)" in shown.stderr
    assert shown.stdout == ""
