"""Folders, zip and tar files: whole, damaged, hostile, and read by many threads."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import member as member_module
from core.archive import list_pages, read_member
from core.errors import ArchiveError, PageError
from core.tars import CompressedTar
from tests.simple_archives import (
    JPEG,
    Make,
    every_kind,
    every_tar,
    make_folder,
    make_tar,
    make_tar_bz2,
    make_tar_gz,
    make_tar_xz,
    make_zip,
)


@every_kind
def test_the_bytes_of_each_page_come_back_in_any_order(tmp_path: Path, make: Make) -> None:
    files = {f"p{number}.png": f"page {number}".encode() for number in range(20)}
    archive = make(tmp_path, files)

    for name in [*reversed(files), *files]:
        assert read_member(archive, name) == files[name]


@every_kind
def test_many_threads_read_one_archive(tmp_path: Path, make: Make) -> None:
    files = {f"p{number}.png": os.urandom(4000) for number in range(24)}
    archive = make(tmp_path, files)

    with ThreadPoolExecutor(8) as threads:
        read = dict(zip(files, threads.map(lambda name: read_member(archive, name), files), strict=True))

    assert read == files


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
    monkeypatch.setattr(archive, "_restart", lambda: pytest.fail("read from its start again"))

    for first, second in zip(names[::2], names[1::2], strict=True):
        assert archive.read(second) == second.encode()
        assert archive.read(first) == first.encode()


def test_a_compressed_tar_keeps_little_of_what_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        except PageError:
            continue
