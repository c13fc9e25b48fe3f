"""Archives: what counts as a page, in which order, and how its bytes are read again."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import member as member_module
from core.archive import list_pages, read_member
from core.errors import ArchiveError, PageError
from core.tars import CompressedTar

Files = dict[str, bytes]
Make = Callable[[Path, Files], str]

JPEG = b"\xff\xd8\xff\xe0 a page"


def make_folder(path: Path, files: Files) -> str:
    for name, data in files.items():
        (path / "shelf" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "shelf" / name).write_bytes(data)
    return str(path / "shelf")


def make_zip(path: Path, files: Files) -> str:
    with zipfile.ZipFile(path / "shelf.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path / "shelf.zip")


def make_tar(path: Path, files: Files, *, compression: str = "") -> str:
    target = path / f"shelf.tar.{compression}".rstrip(".")
    with tarfile.open(target, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(target)


def make_tar_gz(path: Path, files: Files) -> str:
    return make_tar(path, files, compression="gz")


def make_tar_bz2(path: Path, files: Files) -> str:
    return make_tar(path, files, compression="bz2")


def make_tar_xz(path: Path, files: Files) -> str:
    return make_tar(path, files, compression="xz")


every_kind = pytest.mark.parametrize(
    "make", [make_folder, make_zip, make_tar, make_tar_gz, make_tar_bz2, make_tar_xz]
)
every_tar = pytest.mark.parametrize("make", [make_tar, make_tar_gz])


@every_kind
def test_pages_are_listed_in_natural_order_with_digest_size_and_name(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {"p10.jpg": b"ten", "p2.JPG": b"two", "a/p1.TIFF": b"one", "notes.txt": b"no page"})

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["a/p1.TIFF", "p2.JPG", "p10.jpg"]
    assert [page.name for page in listing.pages] == ["p1", "p2", "p10"]
    assert {page.archive for page in listing.pages} == {archive}
    assert listing.pages[1].digest == hashlib.sha256(b"two").hexdigest()
    assert listing.pages[1].size_bytes == 3
    assert listing.n_ignored == 1


@every_kind
def test_the_bytes_of_each_page_come_back_in_any_order(tmp_path: Path, make: Make) -> None:
    files = {f"p{number}.png": f"page {number}".encode() for number in range(20)}
    archive = make(tmp_path, files)

    for name in [*reversed(files), *files]:
        assert read_member(archive, name) == files[name]


@every_kind
def test_many_threads_read_one_archive(tmp_path: Path, make: Make) -> None:
    files = {f"p{number}.png": os.urandom(20_000) for number in range(40)}
    archive = make(tmp_path, files)

    with ThreadPoolExecutor(8) as threads:
        read = dict(zip(files, threads.map(lambda name: read_member(archive, name), files), strict=True))

    assert read == files


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


def test_relative_archives_are_kept_as_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    with pytest.raises(ArchiveError, match=r"shelf\S* holds no JPEG, PNG or TIFF images"):
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


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz, make_tar_bz2, make_tar_xz])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_archive_that_is_cut_off_is_refused_as_a_whole(tmp_path: Path, make: Make, share: float) -> None:
    archive = Path(make(tmp_path, {f"p{number}.jpg": os.urandom(5000) for number in range(20)}))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(ArchiveError, match="copy it again from its source"):
        list_pages([str(archive)])


def test_a_damaged_header_in_the_middle_of_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    archive = Path(make_tar(tmp_path, {f"p{number}.jpg": b"x" for number in range(3)}))
    data = bytearray(archive.read_bytes())
    data[1024 + 150] ^= 0xFF  # in the checksum of the second header; each file takes two blocks of 512 bytes
    archive.write_bytes(data)

    with pytest.raises(ArchiveError, match="damaged or cut off"):
        list_pages([str(archive)])


@every_tar
def test_a_tar_that_ends_between_two_files_without_an_end_mark_is_cut_off(tmp_path: Path, make: Make) -> None:
    whole = Path(make_tar(tmp_path, {"p1.jpg": b"x", "p2.jpg": b"y"})).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(gzip.compress(whole[:1024]) if make is make_tar_gz else whole[:1024])

    with pytest.raises(ArchiveError, match="damaged or cut off"):
        list_pages([str(cut)])


def test_an_encrypted_zip_says_what_to_do(tmp_path: Path) -> None:
    archive = Path(make_zip(tmp_path, {"p.jpg": JPEG}))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag "encrypted" of the central directory
    archive.write_bytes(data)

    with pytest.raises(ArchiveError, match="is encrypted; unpack it with its password"):
        list_pages([str(archive)])


def test_a_damaged_page_in_a_zip_is_listed_and_fails_alone(tmp_path: Path) -> None:
    archive = Path(make_zip(tmp_path, {"bad.jpg": os.urandom(500), "good.jpg": JPEG}))
    data = bytearray(archive.read_bytes())
    data[200] ^= 0xFF
    archive.write_bytes(data)

    bad, good = list_pages([str(archive)]).pages

    assert (bad.member, good.member) == ("bad.jpg", "good.jpg")
    assert read_member(good.archive, good.member) == JPEG
    with pytest.raises(PageError, match=r"bad\.jpg in .*shelf\.zip cannot be read"):
        read_member(bad.archive, bad.member)


def test_a_member_that_claims_a_monstrous_size_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_zip(tmp_path, {"bomb.jpg": bytes(5000), "good.jpg": JPEG})
    monkeypatch.setattr(member_module, "MAX_BYTES", 4999)

    bomb, good = list_pages([archive]).pages

    assert good.digest == hashlib.sha256(JPEG).hexdigest()
    with pytest.raises(PageError, match="5,000 bytes, more than a page may have"):
        read_member(archive, bomb.member)


def test_links_in_a_zip_are_ignored_and_counted(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": JPEG})
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")

    listing = list_pages([archive])

    assert [page.member for page in listing.pages] == ["p.jpg"]
    assert listing.n_ignored == 1


@every_tar
def test_links_and_devices_in_a_tar_are_ignored_counted_and_never_read(tmp_path: Path, make: Make) -> None:
    mode = "w:gz" if make is make_tar_gz else "w"
    with tarfile.open(tmp_path / "shelf.tar", mode) as file:  # type: ignore[call-overload]
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"odd{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        page = tarfile.TarInfo("p.jpg")
        page.size = len(JPEG)
        file.addfile(page, io.BytesIO(JPEG))

    listing = list_pages([str(tmp_path / "shelf.tar")])

    assert [page.member for page in listing.pages] == ["p.jpg"]
    assert listing.n_ignored == 4
    with pytest.raises(PageError):
        read_member(str(tmp_path / "shelf.tar"), "odd2.jpg")


def test_linked_folders_are_entered_once_and_loops_end(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"a/p.jpg": JPEG})
    make_zip(tmp_path, {})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "q.jpg").write_bytes(b"q")
    (Path(folder) / "linked").symlink_to(tmp_path / "elsewhere")
    (Path(folder) / "a" / "loop").symlink_to(folder)

    pages = list_pages([folder]).pages

    assert sorted(page.name for page in pages) == ["p", "q"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_japanese_names_in_a_zip_that_does_not_tell_its_encoding(tmp_path: Path, encoding: str) -> None:
    raw = "巻一\\頁.jpg".encode(encoding)
    plain = "x" * len(raw)
    archive = Path(make_zip(tmp_path, {plain: JPEG}))
    archive.write_bytes(archive.read_bytes().replace(plain.encode(), raw))

    (page,) = list_pages([str(archive)]).pages

    assert (page.member, page.name, page.book) == ("巻一/頁.jpg", "頁", "巻一")
    assert read_member(page.archive, page.member) == JPEG


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_file_name_that_no_database_could_keep_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x8b.jpg")).write_bytes(JPEG)

    with pytest.raises(ArchiveError, match="is not named in UTF-8; rename it"):
        list_pages([str(tmp_path)])


@every_kind
def test_a_member_or_archive_that_went_away_is_a_page_error(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {"p.jpg": JPEG})

    with pytest.raises(PageError, match=r"q\.jpg is no longer in .*shelf"):
        read_member(archive, "q.jpg")
    with pytest.raises(PageError, match=r"p\.jpg is no longer in .*elsewhere"):
        read_member(str(tmp_path / "elsewhere"), "p.jpg")


def test_an_archive_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": b"before"})
    read_member(archive, "p.jpg")

    make_zip(tmp_path, {"p.jpg": b"after, and longer"})

    assert read_member(archive, "p.jpg") == b"after, and longer"


def test_a_compressed_tar_read_about_in_order_is_decompressed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"p{number}.jpg" for number in range(30)]
    archive = CompressedTar(Path(make_tar_gz(tmp_path, {name: name.encode() for name in names})))
    starts: list[int] = []
    restart = archive._restart
    monkeypatch.setattr(archive, "_restart", lambda: (starts.append(1), restart())[1])

    for first, second in zip(names[::2], names[1::2], strict=True):
        assert archive.read(second) == second.encode()
        assert archive.read(first) == first.encode()

    assert starts == []


def test_a_compressed_tar_keeps_little_of_what_passed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.tars._KEPT_BYTES", 250)
    names = [f"p{number}.jpg" for number in range(9)]
    archive = CompressedTar(Path(make_tar_gz(tmp_path, {name: bytes(100) for name in names})))

    archive.read("p8.jpg")

    assert list(archive._kept) == ["p7.jpg", "p8.jpg"]
    assert archive.read("p0.jpg") == bytes(100)


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=3))
def test_damage_anywhere_ends_in_a_listing_or_an_archive_error(
    tmp_path: Path, make: Make, changes: list[tuple[int, int]]
) -> None:
    archive = Path(make(tmp_path, {f"p{number}.jpg": b"x" * 90 for number in range(4)}))
    data = bytearray(archive.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    archive.write_bytes(data)

    try:
        pages = list_pages([str(archive)]).pages
    except ArchiveError:
        return
    for page in pages:
        try:
            read_member(page.archive, page.member)
        except PageError as error:
            assert str(error)


def test_listing_needs_neither_numpy_nor_pillow(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": JPEG})
    code = (
        f"import sys; from core.archive import list_pages; list_pages([{archive!r}]);"
        " print(sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"


def test_no_thread_is_left_by_reading(tmp_path: Path) -> None:
    before = threading.active_count()

    list_pages([make_zip(tmp_path, {"p.jpg": JPEG})])

    assert threading.active_count() == before
