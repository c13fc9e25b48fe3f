"""Truth files: the published forms as they are, and what is wrong named with its line."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.scoring.truth import load_truth

CODH = "Unicode,Image,X,Y,Block ID,Char ID,Width,Height\n"
BARE = "Unicode,Image,X,Y,Width,Height\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "200003076_coordinate.csv"


def labels(truth: Truth) -> str:
    return "".join(item.label for item in truth.boxes or ())


def test_codh_rows_come_in_the_reading_order_of_their_character_ids(table: Path) -> None:
    table.write_text(
        CODH
        + "U+306F,b_00002_1,10,60,B0001,C0002,40,50\n"
        + "U+3068,b_00002_1,99,0,B0002,C0001,40,50\n"
        + "U+3044,b_00002_1,10,0,B0001,C0001,40,50\n"
        + "U+308D,b_00003_2,5,6,B0001,C0001,7,8\n"
    )

    truths = load_truth([table])

    assert labels(truths["b_00002_1"]) == "いはと"
    assert truths["b_00003_2"] == Truth((LabelledBox(Box(5, 6, 7, 8), "ろ"),), is_ordered=True)


def test_rows_without_ids_keep_the_order_of_the_file(table: Path) -> None:
    table.write_text(BARE + "U+308D,p,9,9,1,1\nU+3044,p,0,0,1,1\n")

    assert labels(load_truth([table])["p"]) == "ろい"


def test_only_character_ids_on_every_row_tell_an_order(table: Path, tmp_path: Path) -> None:
    table.write_text(CODH + "U+306F,half,0,60,B0001,C0002,4,5\nU+3068,half,0,0,B0001,,4,5\n")
    bare, kaggle = tmp_path / "bare.csv", tmp_path / "train.csv"
    bare.write_text(BARE + "U+308D,without,9,9,1,1\n")
    kaggle.write_text("image_id,labels\nblank,\n")

    truths = load_truth([table, bare, kaggle])

    assert {name: truth.is_ordered for name, truth in truths.items()} == {
        "half": False,
        "without": False,
        "blank": False,
    }


def test_a_byte_order_mark_windows_lines_and_image_endings_do_not_matter(table: Path) -> None:
    text = BARE + "U+3044,b_00002_1.jpg,0,0,1,1\n"
    table.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert labels(load_truth([table])["b_00002_1"]) == "い"


def test_blanks_around_the_names_of_columns_do_not_matter(table: Path) -> None:
    table.write_text(" Unicode ,Image,X,Y,Width,Height \nU+306F,b_00002_1,10,60,40,50\n")

    assert labels(load_truth([table])["b_00002_1"]) == "は"


def test_a_table_of_one_monstrous_field_is_no_truth(table: Path) -> None:
    table.write_text("x" * 200_000)

    with pytest.raises(TruthError, match="neither CODH's columns"):
        load_truth([table])


def test_labels_are_in_nfc_and_editorial_marks_are_dropped(table: Path) -> None:
    table.write_text(
        BARE + "U+FA19,p,0,0,9,9\nU+25CB,p,0,9,9,9\nU+25B2,p,0,18,9,9\n"
    )  # compatibility 神, ○, ▲

    assert labels(load_truth([table])["p"]) == "\u795e▲"


def test_a_page_of_which_only_marks_are_known_is_blank_not_unknown(table: Path) -> None:
    table.write_text(BARE + "U+25CB,p,0,9,9,9\n")

    assert load_truth([table]) == {"p": Truth(boxes=())}


def test_kaggle_labels_hold_five_values_a_character_and_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("image_id,labels\nbook_00003_1,U+306F 1231 3465 133 53 U+304C 275 1652 84 69\nblank_1,\n")

    truths = load_truth([path])

    assert truths["book_00003_1"].boxes == (
        LabelledBox(Box(1231, 3465, 133, 53), "は"),
        LabelledBox(Box(275, 1652, 84, 69), "が"),
    )
    assert truths["blank_1"] == Truth(boxes=())


def test_a_mask_image_becomes_a_one_bit_png_of_its_size(tmp_path: Path) -> None:
    grey = np.zeros((20, 30), np.uint8)
    grey[5:10, 5:10] = 200
    Image.fromarray(grey).save(tmp_path / "b_00002_1.tif")

    truth = load_truth([tmp_path / "b_00002_1.tif"])["b_00002_1"]

    assert truth.boxes is None
    assert truth.mask_png is not None
    with Image.open(io.BytesIO(truth.mask_png)) as mask:
        assert (mask.format, mask.mode) == ("PNG", "1")
        assert (np.asarray(mask) == (grey > 128)).all()


def test_a_folder_of_masks_gives_a_truth_for_each(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.new("1", (20, 20), 1).save(tmp_path / f"{name}.png")

    assert set(load_truth([tmp_path])) == {"a", "b"}


def test_in_a_folder_as_codh_publishes_it_the_page_images_are_no_masks(tmp_path: Path) -> None:
    for book in ("111", "222"):
        images = tmp_path / book / "images"
        images.mkdir(parents=True)
        (images / f"{book}_00002_1.jpg").write_bytes(b"a page, which nobody opens")
        (tmp_path / book / f"{book}_coordinate.csv").write_text(BARE + f"U+3044,{book}_00002_1,0,0,1,1\n")
    (tmp_path / "unicode_translation.csv").write_text("Unicode,char\nU+3044,い\n")

    truths = load_truth([tmp_path])

    assert {name: labels(truth) for name, truth in truths.items()} == {
        "111_00002_1": "い",
        "222_00002_1": "い",
    }


def test_boxes_and_a_mask_of_one_page_make_one_truth(tmp_path: Path, table: Path) -> None:
    table.write_text(BARE + "U+3044,p,0,0,1,1\n")
    Image.new("1", (20, 20), 1).save(tmp_path / "p.png")

    truth = load_truth([tmp_path / "p.png", table])["p"]

    assert labels(truth) == "い"
    assert truth.mask_png is not None


def test_partial_truth_is_marked_as_such(table: Path) -> None:
    table.write_text(BARE + "U+3044,p,0,0,1,1\n")

    assert load_truth([table], partial=True)["p"].is_partial


def test_the_same_file_named_twice_counts_once(table: Path) -> None:
    table.write_text(BARE + "U+3044,p,0,0,1,1\n")

    assert labels(load_truth([table, table.parent / "." / table.name])["p"]) == "い"


def test_boxes_of_one_page_in_two_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(BARE + "U+3044,p,0,0,1,1\n")

    with pytest.raises(TruthError, match=r"page 'p' has boxes in .*a\.csv and in .*b\.csv"):
        load_truth([tmp_path])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("3044か,p,0,0,1,1", "is no 'U\\+XXXX x y width height'"),
        ("U+110000,p,0,0,1,1", "is no 'U\\+XXXX x y width height'"),
        ("U+D800,p,0,0,1,1", "is no 'U\\+XXXX x y width height'"),
        ("U+3044,p,zero,0,1,1", "'U\\+3044 zero 0 1 1' is no"),
        ("U+3044,p,0,0,0,5", "a box of 0 × 5 pixels holds nothing"),
        ("U+3044,p,0,0,1", "not as many values as columns"),
        ("U+3044,p,0,0,1,1,1", "not as many values as columns"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(table: Path, row: str, complaint: str) -> None:
    table.write_text(BARE + f"U+3044,p,0,0,1,1\n{row}\n")

    with pytest.raises(TruthError, match=rf"{table.name}, line 3: .*{complaint}"):
        load_truth([table])


def test_kaggle_labels_without_sizes_name_the_file_to_give(tmp_path: Path) -> None:
    (tmp_path / "sample_submission.csv").write_text("image_id,labels\ntest_1,U+003F 1 1 U+FF2F 2 2\n")

    with pytest.raises(TruthError, match=r"line 2: 6 values, .*train\.csv"):
        load_truth([tmp_path])


def test_unknown_columns_are_refused_with_those_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("page,text\np,い\n")

    with pytest.raises(TruthError, match=r"x\.csv, line 1: neither CODH's columns .* nor Kaggle's"):
        load_truth([tmp_path / "x.csv"])


@pytest.mark.parametrize("column", ["Unicode", "Image", "X", "Y", "Width", "Height"])
def test_a_missing_column_is_named_also_in_a_folder_with_page_images(tmp_path: Path, column: str) -> None:
    columns = [name for name in BARE.strip().split(",") if name != column]
    (tmp_path / "b_coordinate.csv").write_text(",".join(columns) + "\n")
    Image.new("L", (20, 20)).save(tmp_path / "p.png")  # a page; without the table it would count as a mask

    with pytest.raises(TruthError, match=rf"b_coordinate\.csv, line 1: there is no column {column};"):
        load_truth([tmp_path])


def test_a_table_that_is_not_utf_8_says_so(table: Path) -> None:
    table.write_bytes(BARE.encode() + "U+3044,頁,0,0,1,1\n".encode("cp932"))

    with pytest.raises(TruthError, match="is not UTF-8"):
        load_truth([table])


def test_a_mask_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_text("no image")

    with pytest.raises(TruthError, match=r"p\.png is no mask image"):
        load_truth([tmp_path])


def test_a_missing_path_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="there is no truth at"):
        load_truth([tmp_path / "none.csv"])
    with pytest.raises(TruthError, match="holds no truth; name another folder"):
        load_truth([tmp_path])


def test_tables_are_read_without_numpy_or_pillow(table: Path) -> None:
    table.write_text(BARE + "U+3044,p,0,0,1,1\n")
    code = (
        "import sys; from pathlib import Path; from fumikura.core.scoring.truth import load_truth;"
        f" load_truth([Path({str(table)!r})]);"
        " print(sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"
