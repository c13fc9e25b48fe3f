"""What we write never replaces what we did not write, whichever command writes it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.errors import UsageError
from fumikura.core.marked_pictures import FORMATS, add_pdf_page, is_our_picture, save_picture
from fumikura.core.own_files import replacing
from fumikura.core.recognition.models.checkpoint import save_context
from fumikura.core.recognition.trigrams import ContextCounts, TrigramCounts
from fumikura.core.scoring.gallery import check_gallery
from fumikura.core.training.drawing.fonts import GlyphFont, load_fonts
from fumikura.core.training.drawing.synthetic import render_many
from fumikura.core.training.mining import write_boxes
from fumikura.core.training.plots import picture
from fumikura.core.training.run_folder import keep_config
from fumikura.worker.bench import is_trace
from tests.drawn_font import build_font

PAPER = Image.fromarray(np.full((60, 40, 3), 240, np.uint8))
COUNTS = ContextCounts(("あ",), (TrigramCounts(np.array([[0, 1, 1]], np.uint16), np.array([1], np.uint16)),))


@pytest.fixture
def fonts(tmp_path_factory: pytest.TempPathFactory) -> list[GlyphFont]:
    folder = tmp_path_factory.mktemp("fonts")
    return load_fonts(
        [build_font(folder / "drawn.ttf", {"あ": ((0, 0, 500, 500),), "之": ((0, 0, 300, 600),)})]
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Somebody else's file, which lies where we are told to write."""
    path = tmp_path / "001.png"
    PAPER.save(path)
    return path


def refused(path: Path, write: object) -> None:
    before = path.read_bytes()
    with pytest.raises(UsageError, match="fumikura did not write it"):
        write(path)  # type: ignore[operator]
    assert path.read_bytes() == before
    assert [one for one in path.parent.iterdir() if one.name.startswith(".fumikura")] == []


@pytest.mark.parametrize("ending", FORMATS)
def test_a_picture_of_ours_may_be_written_again_and_a_scan_may_not(tmp_path: Path, ending: str) -> None:
    ours, theirs = tmp_path / f"ours{ending}", tmp_path / f"theirs{ending}"
    save_picture(PAPER, ours)
    PAPER.save(theirs, FORMATS[ending])

    save_picture(PAPER, ours)

    refused(theirs, lambda path: save_picture(PAPER, path))


def test_a_picture_has_the_format_of_its_ending(tmp_path: Path) -> None:
    save_picture(PAPER, tmp_path / "page.pdf")
    add_pdf_page(PAPER, tmp_path / "page.pdf")
    save_picture(PAPER, tmp_path / "page.JPG")

    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert is_our_picture(tmp_path / "page.pdf")
    with Image.open(tmp_path / "page.JPG") as read:
        assert read.format == "JPEG"
    with pytest.raises(UsageError, match=r"notes.txt has no ending of a picture.*\.png"):
        save_picture(PAPER, tmp_path / "notes.txt")


def test_a_png_of_ours_names_its_software(tmp_path: Path) -> None:
    save_picture(PAPER, tmp_path / "page.png")

    with Image.open(tmp_path / "page.png") as read:
        assert read.info["Software"] == "fumikura"


def test_a_link_to_nothing_a_folder_and_a_pipe_are_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("elsewhere.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")

    for name in ("link.png", "folder.png", "pipe.png"):
        with pytest.raises(UsageError):
            save_picture(PAPER, tmp_path / name)
    assert (tmp_path / "link.png").is_symlink()


def test_what_fails_half_way_leaves_the_older_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ours.txt"
    path.write_text("old")

    with pytest.raises(OSError, match="full"), replacing(path, lambda _: True) as unfinished:  # noqa: PT012
        unfinished.write_text("half")
        raise OSError("the disk is full")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_came_while_we_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"

    with pytest.raises(UsageError), replacing(path, lambda _: False) as unfinished:  # noqa: PT012
        unfinished.write_text("ours")
        path.write_text("theirs")

    assert path.read_text() == "theirs"


def test_a_plot_does_not_replace_a_scan(scan: Path) -> None:
    def plot(path: Path) -> None:
        with picture(path, width=1, height=1):
            pass

    refused(scan, plot)
    plot(scan.with_name("plot.png"))
    plot(scan.with_name("plot.png"))


def test_weights_replace_weights_and_nothing_else(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "notes.safetensors", tmp_path / "context.safetensors"
    theirs.write_text("not to be lost")
    save_context(ours, COUNTS)

    save_context(ours, COUNTS)

    refused(theirs, lambda path: save_context(path, COUNTS))


def test_aligned_boxes_do_not_replace_truth_of_the_same_columns(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "aligned.csv", tmp_path / "coordinate.csv"
    theirs.write_text("Unicode,Image,X,Y,Width,Height\nU+3080,page_1,1,2,3,4\n")
    write_boxes(ours, [])

    write_boxes(ours, [])

    refused(theirs, lambda path: write_boxes(path, []))


def test_drawn_pages_do_not_replace_scans(tmp_path: Path, fonts: list[GlyphFont]) -> None:
    PAPER.save(tmp_path / "drawn_00001.jpg")

    refused(
        tmp_path / "drawn_00001.jpg",
        lambda path: render_many(1, path.parent, ["あ"], fonts=fonts, seed=1, long_side=320),
    )


def test_drawn_pages_do_not_replace_truth(tmp_path: Path, fonts: list[GlyphFont]) -> None:
    (tmp_path / "coordinate.csv").write_text("Unicode,Image,X,Y,Width,Height\n")

    refused(
        tmp_path / "coordinate.csv",
        lambda path: render_many(1, path.parent, ["あ"], fonts=fonts, seed=1, long_side=320),
    )


@pytest.mark.parametrize("name", ["classifier.safetensors", "metrics.jsonl", "curves.png"])
def test_a_training_does_not_begin_among_the_files_of_others(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("not to be lost")

    with pytest.raises(UsageError, match="no training of fumikura began in"):
        keep_config(tmp_path, {"steps": 1, "kept": 0.0})

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_training_goes_on_in_its_folder(tmp_path: Path) -> None:
    keep_config(tmp_path, {"steps": 1, "kept": 0.0})
    (tmp_path / "metrics.jsonl").write_text("")

    keep_config(tmp_path, {"steps": 1, "kept": 0.0})

    assert json.loads((tmp_path / "config.json").read_text()) == {"steps": 1, "kept": 0.0}


def test_a_gallery_deletes_no_picture_of_others(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<meta name="generator" content="fumikura"><title>The worst pages</title>'
    )
    PAPER.save(tmp_path / "001.jpg")

    refused(tmp_path / "001.jpg", lambda path: check_gallery(path.parent))


def test_a_page_of_the_same_title_is_no_gallery(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>The worst pages</title> of my thesis")

    with pytest.raises(UsageError, match="no gallery"):
        check_gallery(tmp_path)


def test_a_trace_replaces_no_other_json(tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text("{}")
    Image.new("RGB", (40, 60)).save(tmp_path / "page.png")

    result = CliRunner().invoke(main, ["bench", str(tmp_path / "page.png"), "--trace", str(notes)])

    assert result.exit_code == 2
    assert "fumikura did not write it" in result.stderr
    assert notes.read_text() == "{}"
    assert not is_trace(notes)


def test_pictures_of_a_classifier_replace_no_others(tmp_path: Path) -> None:
    (tmp_path / "samples.png").write_bytes(b"not to be lost")

    result = CliRunner().invoke(
        main, ["evaluate", "classifier", "w.safetensors", "set.npz", "--out", str(tmp_path)]
    )

    assert result.exit_code != 0
    assert (tmp_path / "samples.png").read_bytes() == b"not to be lost"
