"""Archives: what counts as a page, in which order, and of which book."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError
from tests.simple_archives import (
    JPEG,
    Make,
    every_kind,
    make_folder,
    make_tar,
    make_tar_gz,
    make_zip,
)


@every_kind
def test_pages_are_listed_in_natural_order_with_digest_size_and_name(tmp_path: Path, make: Make) -> None:
    archive = make(
        tmp_path, {"p10.jpg": b"ten", "p2.JPG": b"two", "a/p1.TIFF": b"one", "notes.txt": b"no page"}
    )

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["a/p1.TIFF", "p2.JPG", "p10.jpg"]
    assert [page.name for page in listing.pages] == ["p1", "p2", "p10"]
    assert {page.archive for page in listing.pages} == {archive}
    assert listing.pages[1].digest == hashlib.sha256(b"two").hexdigest()
    assert listing.pages[1].size_bytes == 3
    assert listing.n_ignored == 1


@every_kind
def test_hidden_files_and_those_of_macos_and_windows_are_ignored_and_counted(
    tmp_path: Path, make: Make
) -> None:
    archive = make(
        tmp_path,
        {
            "p1.jpg": JPEG,
            "._p1.jpg": JPEG,
            ".git/p2.jpg": JPEG,
            "__MACOSX/p1.jpg": JPEG,
            "Thumbs.db": b"",
            ".DS_Store": b"",
        },
    )

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["p1.jpg"]
    assert listing.n_ignored == 5


@every_kind
def test_full_width_digits_and_case_do_not_change_the_order(tmp_path: Path, make: Make) -> None:
    names = ["Page1.jpg", "page２.jpg", "PAGE3.jpg", "page１０.jpg", "page١١.jpg", "巻1.jpg", "巻１１.jpg"]

    listing = list_pages([make(tmp_path, {name: name.encode() for name in reversed(names)})])

    assert [page.member for page in listing.pages] == names


@every_kind
def test_a_file_without_ending_is_a_page_by_its_first_bytes(tmp_path: Path, make: Make) -> None:
    archive = make(
        tmp_path,
        {"jpeg": JPEG, "png": b"\x89PNG\r\n\x1a\n", "tiff": b"II*\0", "README": b"text", "empty": b""},
    )

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["jpeg", "png", "tiff"]
    assert listing.pages[0].digest == hashlib.sha256(JPEG).hexdigest()
    assert listing.n_ignored == 2


def test_an_image_s_archive_is_its_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"p1.jpg": JPEG, "p2.jpg": b"other"})

    (page,) = list_pages([f"{folder}/p1.jpg"]).pages

    assert (page.archive, page.member) == (folder, "p1.jpg")
    assert read_member(page.archive, page.member) == JPEG


def test_a_glob_finds_pages_folders_and_archives_and_ignores_the_rest(tmp_path: Path) -> None:
    make_zip(tmp_path, {"z1.jpg": b"z"})
    make_folder(tmp_path, {"f1.jpg": b"f"})
    (tmp_path / "p1.jpg").write_bytes(b"p")
    (tmp_path / "notes.txt").write_text("no page")

    listing = list_pages([f"{tmp_path}/*"])

    assert {page.member for page in listing.pages} == {"z1.jpg", "f1.jpg", "p1.jpg"}
    assert listing.n_ignored == 1


def test_a_name_with_brackets_that_exists_is_no_glob(tmp_path: Path) -> None:
    (tmp_path / "book [1]").mkdir()
    (tmp_path / "book [1]" / "p.jpg").write_bytes(JPEG)

    assert len(list_pages([f"{tmp_path}/book [1]"]).pages) == 1


def test_one_page_in_two_archives_is_listed_from_both_with_one_digest(tmp_path: Path) -> None:
    archives = [make_zip(tmp_path, {"a.jpg": JPEG}), make_folder(tmp_path, {"b.jpg": JPEG})]

    pages = list_pages(archives).pages

    assert [page.member for page in pages] == ["a.jpg", "b.jpg"]
    assert pages[0].digest == pages[1].digest


def test_relative_archives_are_kept_as_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"p.jpg": JPEG})
    monkeypatch.chdir(tmp_path)

    assert list_pages(["shelf/../shelf"]).pages[0].archive == str(tmp_path / "shelf")


def test_progress_counts_pages_over_all_archives(tmp_path: Path) -> None:
    archives = [make_zip(tmp_path, {"a.jpg": b"a", "x.txt": b""}), make_folder(tmp_path, {"b.jpg": b"b"})]
    seen: list[int] = []

    list_pages(archives, progress=seen.append)

    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("member", "book"),
    [
        ("200010454_00016_1.jpg", "200010454"),
        ("any/200010454_00016_1.jpg", "200010454"),
        ("genji/001.jpg", "genji"),
        ("genji/images/001.jpg", "genji"),
        ("001.jpg", "shelf"),
    ],
)
@every_kind
def test_the_book_comes_from_codh_s_names_else_from_the_folder_or_archive(
    tmp_path: Path, make: Make, member: str, book: str
) -> None:
    archive = make(tmp_path, {member: JPEG})

    assert list_pages([archive]).pages[0].book == book


def test_a_given_book_goes_before_all(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"200010454_00016_1.jpg": JPEG})

    assert list_pages([archive], book="源氏").pages[0].book == "源氏"


@every_kind
def test_an_archive_without_pages_is_an_error(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {"notes.txt": b"no page"})

    with pytest.raises(
        ArchiveError, match=r"shelf\S* holds no JPEG, PNG, TIFF, JPEG 2000, WebP, HEIC, AVIF, BMP or GIF"
    ):
        list_pages([archive])


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz])
def test_an_archive_without_any_file_is_an_error(tmp_path: Path, make: Make) -> None:
    with pytest.raises(ArchiveError, match="holds no JPEG"):
        list_pages([make(tmp_path, {})])


@pytest.mark.parametrize("name", ["none.zip", "none/*.jpg", ""])
def test_a_missing_path_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ArchiveError, match="there is nothing at"):
        list_pages([name])


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.zip").symlink_to(tmp_path / "nowhere.zip")

    with pytest.raises(ArchiveError, match=r"gone\.zip points to nothing"):
        list_pages([str(tmp_path / "gone.zip")])


def test_a_text_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no archive")

    with pytest.raises(ArchiveError, match=r"notes\.txt"):
        list_pages([str(tmp_path / "notes.txt")])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize("raw", ["巻一/頁.jpg".encode("cp932"), b"\x8b"], ids=["Shift JIS", "noise"])
def test_a_file_whose_name_is_no_utf_8_is_read_under_a_name_that_is(tmp_path: Path, raw: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(JPEG)

    (page,) = list_pages([str(tmp_path)]).pages

    assert page.member in ("巻一/頁.jpg", "\N{REPLACEMENT CHARACTER}")
    assert page.digest == hashlib.sha256(JPEG).hexdigest()
    assert read_member(page.archive, page.member) == JPEG


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_folder_s_name_that_no_database_could_keep_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x8b"))
    folder.mkdir()
    (folder / "page.jpg").write_bytes(JPEG)

    with pytest.raises(ArchiveError, match="is not named in UTF-8; rename it"):
        list_pages([str(folder)])


def test_listing_needs_neither_numpy_nor_pillow(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": JPEG})
    code = (
        f"import sys; from fumikura.core.archives.listing import list_pages; list_pages([{archive!r}]);"
        " print(sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"


def test_no_thread_is_left_by_reading(tmp_path: Path) -> None:
    before = threading.active_count()

    list_pages([make_zip(tmp_path, {"p.jpg": JPEG})])

    assert threading.active_count() == before
