"""Every file of an archive is a page, or is named as left out."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.errors import ArchiveError
from tests.simple_archives import JPEG, Make, every_kind, make_folder


@every_kind
def test_what_a_nas_lays_beside_files_is_no_page(tmp_path: Path, make: Make) -> None:
    beside = [
        "@eaDir/001.jpg/SYNOPHOTO_THUMB_XL.jpg",
        ".@__thumb/default001.jpg",
        "@Recycle/old.jpg",
        "#recycle/old.jpg",
        "$RECYCLE.BIN/S-1-5/$R1.jpg",
        "a/$Recycle.Bin/x.jpg",
        "RECYCLER/x.jpg",
        "lost+found/x.jpg",
        ".Trashes/501/x.jpg",
        ".Trash-1000/files/x.jpg",
        "@tmp/x.jpg",
        "#snapshot/x.jpg",
        "System Volume Information/x.jpg",
        "a/Thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        ".@__thumb/no_ending",
    ]
    archive = make(tmp_path, {"001.jpg": JPEG, "a/eaDir.jpg": b"too", **dict.fromkeys(beside, JPEG)})

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["001.jpg", "a/eaDir.jpg"]
    assert sorted(one.member for one in listing.left_out) == sorted(beside)
    assert {one.kind for one in listing.left_out} == {"thumbnail, deleted or system file"}


@pytest.mark.parametrize(
    "name",
    [
        "p.jfif",
        "p.JPE",
        "p.pjpeg",
        "p.pjp",
        "p.jif",
        "p.Tif",
        "p.webp",
        "p.BMP",
        "p.gif",
        "p.ＪＰＧ",
        "p.jp2",
    ],
)
@every_kind
def test_every_ending_of_images_is_a_page_s(tmp_path: Path, make: Make, name: str) -> None:
    (page,) = list_pages([make(tmp_path, {name: JPEG})]).pages

    assert page.member == name


@every_kind
def test_a_number_is_no_ending(tmp_path: Path, make: Make) -> None:
    listing = list_pages([make(tmp_path, {"scan.001": JPEG, "scan.002": b"text", "scan.１": JPEG + b"1"})])

    assert [page.member for page in listing.pages] == ["scan.001", "scan.１"]
    assert [one.member for one in listing.left_out] == ["scan.002"]


@every_kind
def test_files_that_could_become_pages_are_named_with_what_to_do(tmp_path: Path, make: Make) -> None:
    files = {
        "a.jpm": b"",
        "b.jxl": b"",
        "c.jxl": b"",
        "inner.zip": b"PK",
        "d.7z": b"",
        "notes.txt": b"",
        "no_ending": b"%PDF-1.7",
    }

    listing = list_pages([make(tmp_path, {"001.jpg": JPEG, **files})])

    # Nobody can name a zip in a zip.
    inner = (
        "name each, such as 'a/*.zip'" if make is make_folder else "unpack what they lie in, and name the zip"
    )
    found = {one.member: (one.kind, one.remedy.partition(" or tar files")[0]) for one in listing.left_out}
    assert found == {
        "a.jpm": ("layered JPEG 2000", "convert to PNG or TIFF"),
        "b.jxl": ("other image", "convert to PNG or TIFF"),
        "c.jxl": ("other image", "convert to PNG or TIFF"),
        "inner.zip": ("zip or tar", inner),
        "d.7z": ("packed archive", "unpack it"),
        "notes.txt": (".txt file", ""),
        "no_ending": ("PDF", "give it the ending .pdf"),
    }


@every_kind
def test_an_archive_of_nothing_but_those_says_so(tmp_path: Path, make: Make) -> None:
    with pytest.raises(ArchiveError, match=r"holds no JPEG.*\(it holds DjVu or e-book, so convert to"):
        list_pages([make(tmp_path, {"a.djvu": b"AT&TFORM", "b.djvu": b"AT&TFORM"})])


def test_another_name_of_a_file_in_a_tar_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "linked.tar", "w") as archive:
        (tmp_path / "p.jpg").write_bytes(JPEG)
        (tmp_path / "q.jpg").hardlink_to(tmp_path / "p.jpg")
        archive.add(tmp_path / "p.jpg", "p.jpg")
        archive.add(tmp_path / "q.jpg", "q.jpg")

    listing = list_pages([str(tmp_path / "linked.tar")])

    assert [page.member for page in listing.pages] == ["p.jpg"]
    assert [(one.member, one.kind) for one in listing.left_out] == [
        ("q.jpg", "another name of a file that is listed")
    ]


def test_another_way_into_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "p.jpg").write_bytes(JPEG)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)

    listing = list_pages([str(tmp_path)])

    assert [page.member for page in listing.pages] == ["a/p.jpg"]
    assert [(one.member, one.kind) for one in listing.left_out] == [
        ("a/loop", "another way into a folder that is listed")
    ]
