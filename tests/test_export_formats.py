"""The formats, each read by what others read it with."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from fumikura.core.errors import UsageError
from fumikura.core.export.exporting import export
from fumikura.core.page import PageReference
from fumikura.core.store.connecting import Engine
from fumikura.core.store.read_pages import Selection
from fumikura.core.training.datasets.loading import load_character_set
from tests.handmade import handmade_reading, page_png, write_zip
from tests.simple_store import make_page, make_reading, read_all, start_run


@pytest.fixture
def read(engine: Engine) -> Engine:
    """A database with tale_001, two columns, and tale_002, which is blank."""
    start_run(engine, [make_page(1), make_page(2)])
    read_all(engine, make_reading("いろ", "気"), make_reading())
    return engine


def test_koji_has_a_line_a_column(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="koji")

    assert (out / "tale_001.txt").read_text(encoding="utf-8") == "いろ\n気\n"


def test_the_coordinates_are_those_of_codh(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="codh")

    rows = list(csv.reader(io.StringIO((out / "tale_coordinate.csv").read_text(encoding="utf-8"))))

    assert rows == [
        ["Unicode", "Image", "X", "Y", "Block ID", "Char ID", "Width", "Height"],
        ["U+3044", "tale_001", "290", "0", "B0001", "C0001", "10", "10"],
        ["U+308D", "tale_001", "290", "10", "B0001", "C0002", "10", "10"],
        ["U+6C17", "tale_001", "270", "0", "B0001", "C0003", "10", "10"],
    ]


def test_a_submission_has_the_middles_and_a_row_for_the_blank_page(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="kaggle")

    assert (out / "submission.csv").read_text(encoding="utf-8").splitlines() == [
        "image_id,labels",
        "tale_001,U+3044 295 5 U+308D 295 15 U+6C17 275 5",
        "tale_002,",
    ]


def test_coco_has_images_categories_and_annotations_that_fit(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="coco")

    data = json.loads((out / "annotations.json").read_text(encoding="utf-8"))

    assert [(one["file_name"], one["width"], one["height"]) for one in data["images"]] == [
        ("tale_001.jpg", 300, 200),
        ("tale_002.jpg", 300, 200),
    ]
    names = {one["id"]: one["name"] for one in data["categories"]}
    assert [(names[one["category_id"]], one["bbox"], one["area"]) for one in data["annotations"]] == [
        ("い", [290, 0, 10, 10], 100),
        ("ろ", [290, 10, 10, 10], 100),
        ("気", [270, 0, 10, 10], 100),
    ]
    assert [one["id"] for one in data["annotations"]] == [1, 2, 3]
    assert {one["image_id"] for one in data["annotations"]} == {data["images"][0]["id"]}


def test_coco_without_characters_is_still_json(engine: Engine, out: Path) -> None:
    start_run(engine, [make_page(1)])
    read_all(engine, make_reading())

    export(engine, Selection(), out, format_name="coco")

    data = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    assert (data["annotations"], data["categories"], len(data["images"])) == ([], [], 1)


def test_parquet_is_a_table_with_a_row_a_character(read: Engine, out: Path) -> None:
    export(read, Selection(), out, format_name="parquet")

    rows = parquet.read_table(out / "characters.parquet").to_pylist()

    assert [row["label"] for row in rows] == ["い", "ろ", "気"]
    assert [(row["column_number"], row["x"]) for row in rows] == [(0, 290), (0, 290), (1, 270)]
    assert rows[0]["alternatives"][0] == {"label": "ぬ", "probability": 0.25}
    assert {row["page"] for row in rows} == {"tale_001"}


def test_a_mask_is_the_one_that_was_found(read: Engine, out: Path) -> None:
    export(read, Selection(page="tale_001"), out, format_name="masks")

    with Image.open(out / "tale_001.png") as mask:
        assert mask.mode == "1"
        assert np.asarray(mask).tolist() == [[True, False, True], [False, True, False]]


def zip_pages(archive: Path, n_pages: int) -> list[PageReference]:
    """Pages of a zip as they are listed: known by the digest of their bytes."""
    write_zip(archive, n_pages)
    with zipfile.ZipFile(archive) as opened:
        return [
            PageReference(str(archive), name, hashlib.sha256(opened.read(name)).hexdigest(), 1, "book")
            for name in opened.namelist()
        ]


def test_crops_are_a_training_set_that_shows_the_characters(
    engine: Engine, tmp_path: Path, out: Path
) -> None:
    start_run(engine, zip_pages(tmp_path / "scans.zip", 2))
    read_all(engine, handmade_reading(0, "一二一"), handmade_reading(1, "一二一"))

    exported = export(engine, Selection(), out, format_name="crops")

    assert exported.left_out == []
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("U+*/*.png")) == [
        "U+4E00/book_00000_1_0001.png",
        "U+4E00/book_00000_1_0003.png",
        "U+4E00/book_00001_1_0001.png",
        "U+4E00/book_00001_1_0003.png",
        "U+4E8C/book_00000_1_0002.png",
        "U+4E8C/book_00001_1_0002.png",
    ]
    loaded = load_character_set(out, "train")
    assert (loaded.images.shape, loaded.labels) == ((6, 64, 64), ("一", "二"))
    # A blot is darkest in the middle of its crop, and paper at the rim.
    assert (loaded.images[:, 28:36, 28:36].mean(axis=(1, 2)) < 60).all()
    assert (loaded.images[:, 0].mean(axis=1) > 150).all()


def test_a_page_whose_scan_is_gone_is_left_out_and_named(engine: Engine, tmp_path: Path, out: Path) -> None:
    start_run(engine, zip_pages(tmp_path / "scans.zip", 2))
    read_all(engine, handmade_reading(0, "一二一"), handmade_reading(1, "一二一"))
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("book_00000_1.png", page_png(0))

    exported = export(engine, Selection(), out, format_name="crops")
    (tmp_path / "scans.zip").unlink()
    write_zip(tmp_path / "scans.zip", 2)
    again = export(engine, Selection(), out, format_name="crops")

    ((page, reason),) = exported.left_out
    assert (page, exported.n_pages) == ("book_00001_1", 1)
    assert "no longer at" in reason
    assert (again.left_out, again.n_pages, again.n_kept) == ([], 2, 1)


@pytest.mark.parametrize("name", ["codh", "coco", "kaggle"])
def test_two_pages_of_one_name_do_not_become_one(engine: Engine, out: Path, name: str) -> None:
    pages = [PageReference(f"/scans/{volume}", "1.png", volume * 64, 1, "book") for volume in "12"]
    start_run(engine, pages)
    read_all(engine, make_reading("い"), make_reading("ろ"))

    with pytest.raises(UsageError, match="two pages are called 1, and this format knows pages by name"):
        export(engine, Selection(), out, format_name=name)

    assert not [path for path in out.rglob("*") if not path.name.startswith(".fumikura")]
