"""Data sets of characters and patches: small files in exactly the published forms, and what may be wrong."""

from __future__ import annotations

import gzip
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets.mnist import read_image_file, read_label_file

from fumikura.core.errors import DataSetError
from fumikura.core.training.datasets.loading import load_character_set, load_patch_set

KMNIST = "おきすつなはまやれを"


def digits(n_classes: int, n_each: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Noise in the shape of MNIST, each class in turn."""
    targets = np.tile(np.arange(n_classes, dtype=np.uint8), n_each)
    return np.random.default_rng(seed).integers(0, 256, (len(targets), 28, 28), np.uint8), targets


def write_numpy(folder: Path, name: str, n_classes: int) -> None:
    """As rois-codh/kmnist publishes: NAME-SPLIT-imgs.npz and NAME-SPLIT-labels.npz, one `arr_0` each."""
    for split, n_each in (("train", 3), ("test", 1)):
        images, targets = digits(n_classes, n_each)
        np.savez_compressed(folder / f"{name}-{split}-imgs.npz", images)
        np.savez_compressed(folder / f"{name}-{split}-labels.npz", targets)


def write_idx(path: Path, array: NDArray[np.uint8], *, packed: bool = True) -> None:
    """MNIST's form: 0x0000, 0x08, number of sides, each side in 32 bits, most significant byte first."""
    data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)


def write_kanji(folder: Path, counts: dict[str, int]) -> None:
    """As in kkanji.tar: U+XXXX/, 16 hexadecimal digits.png, 64 × 64 grey."""
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            grey = Image.new("L", (64, 64), 50 * number + image)
            grey.save(folder / name / f"{0xE6EEB23552E1A21C + 97 * image:016x}.png")


def write_folders(folder: Path, labels: dict[str, tuple[str, ...]], size: int = 8, mode: str = "RGB") -> None:
    for split, names in labels.items():
        for number, name in enumerate(names):
            (folder / split / name).mkdir(parents=True)
            Image.new(mode, (size, size), number).save(folder / split / name / "a.png")


def test_kuzushiji_mnist_in_one_file_is_read_with_its_labels_in_class_order(tmp_path: Path) -> None:
    (images, targets), (test_images, test_targets) = digits(10, 2), digits(10, 1, seed=1)
    np.savez(
        tmp_path / "kmnist.npz", x_train=images, y_train=targets, x_test=test_images, y_test=test_targets
    )

    train = load_character_set(tmp_path / "kmnist.npz", "train")
    test = load_character_set(tmp_path, "test")

    assert "".join(train.labels) == "".join(test.labels) == KMNIST
    assert (train.images == images).all()
    assert (test.images == test_images).all()
    assert train.targets.dtype == np.int64
    assert train.targets.tolist() == targets.tolist()


def test_kuzushiji_mnist_as_published_for_numpy_is_read(tmp_path: Path) -> None:
    write_numpy(tmp_path, "kmnist", 10)

    train, test = load_character_set(tmp_path, "train"), load_character_set(tmp_path, "test")

    assert (train.images.shape, test.images.shape) == ((30, 28, 28), (10, 28, 28))
    assert train.labels[train.targets[13]] == "つ"  # 13 = 10 + 3


@pytest.mark.parametrize("packed", [True, False])
def test_kuzushiji_mnist_as_published_in_mnists_form_is_read(tmp_path: Path, packed: bool) -> None:
    images, targets = digits(10, 2)
    for name in ("train", "t10k"):
        ending = ".gz" if packed else ""
        write_idx(tmp_path / f"{name}-images-idx3-ubyte{ending}", images, packed=packed)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte{ending}", targets, packed=packed)

    test = load_character_set(tmp_path, "test")

    assert (test.images == images).all()
    assert test.targets.tolist() == targets.tolist()
    if not packed:  # torchvision reads what was unpacked: the form is the published one
        assert (read_image_file(str(tmp_path / "t10k-images-idx3-ubyte")).numpy() == images).all()
        assert read_label_file(str(tmp_path / "t10k-labels-idx1-ubyte")).tolist() == targets.tolist()


def test_kuzushiji_49_is_read_with_and_without_its_class_map(tmp_path: Path) -> None:
    write_numpy(tmp_path, "k49", 49)
    bare = load_character_set(tmp_path, "train")
    rows = [f"{number},U+{ord(label):04X},{label}" for number, label in enumerate(bare.labels)]
    (tmp_path / "k49_classmap.csv").write_text("\n".join(["index,codepoint,char", *rows]), encoding="utf-8")

    mapped = load_character_set(tmp_path, "test")

    assert bare.images.shape == (3 * 49, 28, 28)
    assert len(set(bare.labels)) == 49
    assert (bare.labels[0], bare.labels[44], bare.labels[47], bare.labels[48]) == ("あ", "ゐ", "ん", "ゝ")
    assert mapped.labels == bare.labels


def test_the_class_map_beside_the_arrays_counts(tmp_path: Path) -> None:
    write_numpy(tmp_path, "k49", 49)
    rows = [f"{number},U+{0x4E00 + number:04X},?" for number in reversed(range(49))]
    (tmp_path / "k49_classmap.csv").write_text("\n".join(["index,codepoint,char", *rows]))

    assert load_character_set(tmp_path, "train").labels[:2] == ("一", "丁")


def test_kuzushiji_kanji_is_split_by_file_name_and_rare_classes_stay_in_training(tmp_path: Path) -> None:
    write_kanji(tmp_path, {"U+4E00": 15, "U+4EBA": 6, "U+20089": 1})

    train, test = load_character_set(tmp_path, "train"), load_character_set(tmp_path, "test")

    assert train.labels == test.labels
    assert sorted(train.labels) == ["一", "人", "\U00020089"]
    assert train.images.shape[1:] == (64, 64)
    assert np.bincount(train.targets, minlength=3)[train.labels.index("一")] == 13
    assert [test.labels[target] for target in test.targets] == ["一", "一"]  # 15 // 7
    greys = {int(image[0, 0]) for split in (train, test) for image in split.images}
    assert greys == {*range(15), *range(50, 56), 100}  # every image once


def test_the_split_of_kuzushiji_kanji_does_not_change_when_another_class_comes(tmp_path: Path) -> None:
    write_kanji(tmp_path, {"U+4E00": 15})
    before = load_character_set(tmp_path, "test")
    write_kanji(tmp_path, {"U+3402": 9})

    after = load_character_set(tmp_path, "test")

    kept = after.images[after.targets == after.labels.index("一")]
    assert (kept == before.images).all()


def test_folders_of_labels_are_read_whether_named_by_label_or_code_point(tmp_path: Path) -> None:
    voiced = unicodedata.normalize("NFD", "が")  # as macOS names folders
    write_folders(tmp_path, {"train": ("U+3042", voiced, "人"), "test": ("人",)})

    train, test = load_character_set(tmp_path, "train"), load_character_set(tmp_path, "test")

    assert set(train.labels) == {"あ", "が", "人"}
    assert train.images.shape == (3, 8, 8, 3)
    assert test.labels[test.targets[0]] == "人"


def test_grey_images_have_no_channel(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train": ("あ",), "test": ("あ",)}, mode="L")

    assert load_character_set(tmp_path, "train").images.shape == (1, 8, 8)


def test_images_of_16_bits_keep_their_shades(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train": ("あ",), "test": ("あ",)}, mode="L")
    (path,) = (tmp_path / "train").glob("*/*.png")
    Image.fromarray((np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)).save(path)

    images = load_character_set(tmp_path, "train").images

    assert images.flatten().tolist() == [value * 1000 // 256 for value in range(64)]


def cut_off(folder: Path) -> None:
    path = folder / "kmnist-train-imgs.npz"
    path.write_bytes(path.read_bytes()[:-200])


def cut_off_in_the_middle(folder: Path) -> None:
    path = folder / "kmnist-train-imgs.npz"
    path.write_bytes(path.read_bytes()[:2000])


def name_an_array_wrongly(folder: Path) -> None:
    np.savez(folder / "kmnist-train-imgs.npz", images=np.zeros((30, 28, 28), np.uint8))


def lose_the_labels(folder: Path) -> None:
    (folder / "kmnist-train-labels.npz").unlink()


def give_too_few_labels(folder: Path) -> None:
    np.savez(folder / "kmnist-train-labels.npz", np.zeros(29, np.uint8))


def give_a_class_outside_the_vocabulary(folder: Path) -> None:
    np.savez(folder / "kmnist-train-labels.npz", np.arange(30, dtype=np.uint8) % 11)


def leave_a_class_empty(folder: Path) -> None:
    np.savez(folder / "kmnist-train-labels.npz", np.arange(30, dtype=np.uint8) % 9)


def give_images_in_colour(folder: Path) -> None:
    np.savez(folder / "kmnist-train-imgs.npz", np.zeros((30, 28, 28, 3), np.uint8))


def give_a_class_map_without_code_points(folder: Path) -> None:
    (folder / "kmnist_classmap.csv").write_text("index,char\n0,お\n")


def put_another_set_beside(folder: Path) -> None:
    write_numpy(folder, "k49", 49)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (cut_off, r"kmnist-train-imgs\.npz is cut off or damaged .*; copy it again"),
        (cut_off_in_the_middle, r"kmnist-train-imgs\.npz is cut off or damaged"),
        (name_an_array_wrongly, r"kmnist-train-imgs\.npz has no array 'arr_0'; name"),
        (lose_the_labels, r"kmnist-train-labels\.npz is missing"),
        (give_too_few_labels, r"kmnist-train-labels\.npz holds uint8 \(29,\), where 30 whole numbers"),
        (give_a_class_outside_the_vocabulary, "class 10 of the train split has no label, there are 10"),
        (leave_a_class_empty, r"no image to learn を from \(1 of 10 classes\)"),
        (give_images_in_colour, r"no uint8 images \(N, S, S\)"),
        (give_a_class_map_without_code_points, r"kmnist_classmap\.csv is no class map"),
        (put_another_set_beside, r"holds several data sets \(kmnist and k49\)"),
    ],
)
def test_damaged_arrays_are_one_clear_line(
    tmp_path: Path, spoil: Callable[[Path], None], complaint: str
) -> None:
    write_numpy(tmp_path, "kmnist", 10)
    spoil(tmp_path)

    with pytest.raises(DataSetError, match=complaint):
        load_character_set(tmp_path, "train")


@pytest.mark.parametrize("n_bytes", [0, 3, 10, 500])
def test_a_file_in_mnists_form_that_is_cut_off_says_so(tmp_path: Path, n_bytes: int) -> None:
    for name, array in zip(("images-idx3", "labels-idx1"), digits(10, 1), strict=True):
        write_idx(tmp_path / f"train-{name}-ubyte", array, packed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:n_bytes])

    with pytest.raises(DataSetError, match="train-images-idx3-ubyte is cut off or damaged"):
        load_character_set(tmp_path, "train")


def test_a_packed_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    for name, array in zip(("images-idx3", "labels-idx1"), digits(10, 1), strict=True):
        write_idx(tmp_path / f"train-{name}-ubyte.gz", array)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DataSetError, match="is cut off or damaged"):
        load_character_set(tmp_path, "train")


def test_folders_that_cannot_be_learnt_from_are_one_clear_line(tmp_path: Path) -> None:
    write_folders(tmp_path / "empty", {"train": ("あ",), "test": ("あ",)})
    (tmp_path / "empty" / "train" / "い").mkdir()
    write_folders(tmp_path / "unknown", {"train": ("あ",), "test": ("あ", "い")})
    write_folders(tmp_path / "code", {"train": ("U+3042x",), "test": ("U+3042x",)})
    write_folders(tmp_path / "twice", {"train": ("U+3042", "あ"), "test": ("あ",)})
    write_folders(tmp_path / "mixed", {"train": ("あ",)})
    write_folders(tmp_path / "mixed", {"train": ("い",)}, size=9)
    write_folders(tmp_path / "damaged", {"train": ("あ",)})
    (tmp_path / "damaged" / "train" / "あ" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    for name, split, complaint in (
        ("empty", "train", "no valid file for the classes い"),
        ("unknown", "test", "unknown/test has い, which train has not"),
        ("code", "train", "the folder 'U\\+3042x' names no code point"),
        ("twice", "train", "has two folders for あ"),
        ("mixed", "train", r"has the shape \(9, 9, 3\), where all images .*\(8, 8, 3\)"),
        ("damaged", "train", r"a\.png cannot be read"),
        ("nothing", "train", "there is no data set at"),
        (".", "train", "holds no known data set of characters"),
    ):
        with pytest.raises(DataSetError, match=complaint):
            load_character_set(tmp_path / name, "test" if split == "test" else "train")


def write_patch(folder: Path, name: str, image: Image.Image, mask: Image.Image | None) -> None:
    for part in ("images", "masks"):
        (folder / "train" / part).mkdir(parents=True, exist_ok=True)
    image.save(folder / "train" / "images" / f"{name}.png")
    if mask is not None:
        mask.save(folder / "train" / "masks" / f"{name}.png")


def test_patches_come_with_their_masks(tmp_path: Path) -> None:
    mask = np.zeros((6, 6), bool)
    mask[2:4, 1] = True
    write_patch(tmp_path, "a", Image.new("RGB", (6, 6), (1, 2, 3)), Image.fromarray(mask))
    write_patch(tmp_path, "b", Image.new("RGB", (6, 6)), Image.new("L", (6, 6), 255))

    patches = load_patch_set(tmp_path, "train")

    assert patches.images.shape == (2, 6, 6, 3)
    assert patches.images[0, 0, 0].tolist() == [1, 2, 3]
    assert (patches.masks[0] == mask).all()
    assert patches.masks[1].all()


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (None, r"masks/b\.png cannot be read"),
        (Image.new("1", (6, 7)), r"masks/b\.png has 6 × 7 pixels, where images and masks have 6 × 6"),
    ],
)
def test_a_patch_without_a_fitting_mask_is_named(
    tmp_path: Path, mask: Image.Image | None, complaint: str
) -> None:
    write_patch(tmp_path, "a", Image.new("RGB", (6, 6)), Image.new("1", (6, 6)))
    write_patch(tmp_path, "b", Image.new("RGB", (6, 6)), mask)

    with pytest.raises(DataSetError, match=complaint):
        load_patch_set(tmp_path, "train")


def test_a_set_without_patches_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="make it with `fumikura prepare patches`"):
        load_patch_set(tmp_path, "test")
