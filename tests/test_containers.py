"""Folders, zip and tar files: whole, damaged, hostile, and read by many threads."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import socket
import stat
import tarfile
import tracemalloc
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fumikura.core.archives.containers import local_file
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.archives.tars import CompressedTar
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits
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


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_zip_that_is_cut_off_has_no_names_and_is_refused(tmp_path: Path, share: float) -> None:
    archive = Path(make_zip(tmp_path, {f"p{number}.jpg": os.urandom(5000) for number in range(20)}))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(ArchiveError, match="copy it again from its source"):
        list_pages([str(archive)])


@every_tar
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_of_a_tar_that_is_cut_off_the_beginning_is_read_and_the_rest_fails(
    tmp_path: Path, make: Make, share: float
) -> None:
    files = {f"p{number}.jpg": os.urandom(50_000) for number in range(20)}
    archive = Path(make(tmp_path, files))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])

    rest, *pages = sorted(list_pages([str(archive)]).pages, key=lambda page: page.member)

    whole = [page for page in pages if page.digest == hashlib.sha256(files[page.member]).hexdigest()]
    assert 20 * share - 3 < len(whole) < 20
    assert all(read_member(page.archive, page.member) == files[page.member] for page in whole)
    assert (rest.member, rest.name) == ("", archive.name)
    assert rest.digest == hashlib.sha256(f"{archive}\0".encode()).hexdigest()
    with pytest.raises(PageError, match=r"damaged or cut off .*; copy it again from its source"):
        read_member(rest.archive, rest.member)


def test_a_damaged_header_in_the_middle_of_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    archive = Path(make_tar(tmp_path, {f"p{number}.jpg": b"x" for number in range(3)}))
    data = bytearray(archive.read_bytes())
    data[1024 + 150] ^= 0xFF  # in the checksum of the second header; each file takes two blocks of 512 bytes
    archive.write_bytes(data)

    first, rest = list_pages([str(archive)]).pages

    assert (first.member, rest.member) == ("p0.jpg", "")
    with pytest.raises(PageError, match="damaged or cut off"):
        read_member(rest.archive, rest.member)


@every_tar
def test_a_tar_that_ends_between_two_files_without_an_end_mark_is_cut_off(tmp_path: Path, make: Make) -> None:
    whole = Path(make_tar(tmp_path, {"p1.jpg": b"x", "p2.jpg": b"y"})).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(gzip.compress(whole[:1024]) if make is make_tar_gz else whole[:1024])

    assert [page.member for page in list_pages([str(cut)]).pages] == ["p1.jpg", ""]


def test_an_archive_that_cannot_be_read_fails_beside_others_and_ends_the_command_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 and no more")
    Path(make_zip(tmp_path, {"a.txt": b""})).rename(tmp_path / "text.zip")
    good = make_zip(tmp_path, {"p.jpg": JPEG})

    pages = list_pages([str(tmp_path / "bad.zip"), good, str(tmp_path / "text.zip")]).pages

    assert [(page.name, page.member) for page in pages] == [("p", "p.jpg"), ("bad.zip", ""), ("text.zip", "")]
    for page, reason in ((pages[1], "no zip or tar file"), (pages[2], "holds no JPEG")):
        with pytest.raises(PageError, match=reason):
            read_member(page.archive, page.member)
    with pytest.raises(ArchiveError, match="no zip or tar file"):
        list_pages([str(tmp_path / "bad.zip")])


def test_the_pages_of_an_encrypted_zip_fail_and_say_what_to_do(tmp_path: Path) -> None:
    archive = Path(make_zip(tmp_path, {"p.jpg": JPEG}))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag "encrypted" of the central directory
    archive.write_bytes(data)

    (page,) = list_pages([str(archive)]).pages

    assert page.digest == hashlib.sha256(f"{archive}\0p.jpg".encode()).hexdigest()
    with pytest.raises(PageError, match=r"p\.jpg is encrypted; unpack the archive with its password"):
        read_member(page.archive, page.member)


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


@every_kind
def test_a_member_that_claims_a_monstrous_size_fails_alone(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {"bomb.jpg": bytes(5000), "good.jpg": JPEG})
    limits = Limits(max_file_bytes=4999)

    bomb, good = list_pages([archive], limits=limits).pages

    assert good.digest == hashlib.sha256(JPEG).hexdigest()
    assert read_member(archive, "good.jpg", limits=limits) == JPEG
    with pytest.raises(PageError, match="5,000 bytes, more than a page may have"):
        read_member(archive, bomb.member, limits=limits)


@pytest.mark.parametrize("make", [make_zip, make_tar_gz, make_tar_bz2, make_tar_xz])
def test_what_unpacks_to_a_multiple_of_its_size_is_a_bomb(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.limits.HARMLESS_BYTES", 60_000)
    archive = make(tmp_path, {"a.jpg": JPEG, "bomb.jpg": bytes(2_000_000)})

    pages = {page.member: page for page in list_pages([archive]).pages}

    assert pages.keys() >= {"a.jpg", "bomb.jpg"}
    assert read_member(archive, "a.jpg") == JPEG
    for member in pages.keys() - {"a.jpg"}:
        with pytest.raises(PageError, match=r"as only a bomb does; .* FUMIKURA_MAX_RATIO"):
            read_member(archive, member)


def test_members_of_a_zip_that_are_harmless_one_by_one_are_a_bomb_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.limits.HARMLESS_BYTES", 5000)
    archive = make_zip(tmp_path, {f"p{number}.jpg": bytes(4000) for number in range(3)})
    limits = Limits(max_ratio=10)  # the archive has less than 500 bytes

    pages = list_pages([archive], limits=limits).pages

    assert len({page.digest for page in pages}) == 3  # of the first, and two stand-ins
    assert read_member(archive, "p0.jpg", limits=limits) == bytes(4000)
    with pytest.raises(PageError, match=r"p1\.jpg is beyond the 5,000 bytes"):
        read_member(archive, "p1.jpg", limits=limits)


def test_a_zip_whose_header_claims_less_than_there_is_fails_without_being_unpacked(tmp_path: Path) -> None:
    archive = Path(make_zip(tmp_path, {"p.jpg": bytes(50_000_000)}))
    archive.write_bytes(archive.read_bytes().replace((50_000_000).to_bytes(4, "little"), b"\x0a\0\0\0"))

    tracemalloc.start()
    (page,) = list_pages([str(archive)]).pages
    with pytest.raises(PageError, match="cannot be read"):
        read_member(page.archive, page.member)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz])
def test_of_an_archive_of_too_many_files_no_more_than_so_many_are_read(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {f"p{number}.jpg": bytes([number]) for number in range(5)})

    assert len(list_pages([archive], limits=Limits(max_members=5)).pages) == 5
    if make is make_zip:
        with pytest.raises(ArchiveError, match="holds more than 4 files; split it"):
            list_pages([archive], limits=Limits(max_members=4))
    else:
        *pages, rest = list_pages([archive], limits=Limits(max_members=4)).pages
        assert (len(pages), rest.member) == (4, "")


def test_a_zip_packed_by_a_method_without_bounds_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "shelf.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("p.jpg", JPEG)

    (page,) = list_pages([str(tmp_path / "shelf.zip")]).pages

    with pytest.raises(PageError, match="packed by method 12"):
        read_member(page.archive, page.member)


@every_tar
def test_a_header_that_would_fill_the_memory_is_damage(tmp_path: Path, make: Make) -> None:
    mode = "w:gz" if make is make_tar_gz else "w"
    with tarfile.open(tmp_path / "shelf.tar", mode) as archive:  # type: ignore[call-overload]
        for name in ("p1.jpg", "x" * 100_000 + ".jpg", "p2.jpg"):
            archive.addfile(tarfile.TarInfo(name))

    pages = list_pages([str(tmp_path / "shelf.tar")]).pages

    assert [page.member for page in pages] == ["p1.jpg", ""]


def test_links_in_a_zip_fail_and_are_not_followed(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": JPEG})
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")

    pages = list_pages([archive]).pages

    assert [page.member for page in pages] == ["link.jpg", "p.jpg"]
    with pytest.raises(PageError, match=r"link\.jpg is a link or a device, which are not followed"):
        read_member(archive, "link.jpg")


@every_tar
def test_links_and_devices_in_a_tar_fail_and_are_not_followed(tmp_path: Path, make: Make) -> None:
    mode = "w:gz" if make is make_tar_gz else "w"
    with tarfile.open(tmp_path / "shelf.tar", mode) as file:  # type: ignore[call-overload]
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"odd{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        plain = tarfile.TarInfo("p.jpg")
        plain.size = len(JPEG)
        file.addfile(plain, io.BytesIO(JPEG))

    pages = list_pages([str(tmp_path / "shelf.tar")]).pages

    assert [page.member for page in pages] == ["odd1.jpg", "odd2.jpg", "odd3.jpg", "odd6.jpg", "p.jpg"]
    for page in pages[:4]:
        with pytest.raises(PageError, match="which are not followed"):
            read_member(page.archive, page.member)


@every_tar
def test_a_hard_link_to_a_page_before_it_is_that_page(tmp_path: Path, make: Make) -> None:
    mode = "w:gz" if make is make_tar_gz else "w"
    with tarfile.open(tmp_path / "shelf.tar", mode) as file:  # type: ignore[call-overload]
        page = tarfile.TarInfo("p.jpg")
        page.size = len(JPEG)
        file.addfile(page, io.BytesIO(JPEG))
        link = tarfile.TarInfo("again.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "p.jpg"
        file.addfile(link)

    listing = list_pages([str(tmp_path / "shelf.tar")])

    assert ([page.member for page in listing.pages], listing.n_ignored) == (["p.jpg"], 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_link_to_nothing_and_a_pipe_in_a_folder_fail(tmp_path: Path) -> None:
    folder = Path(make_folder(tmp_path, {"p.jpg": JPEG}))
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")

    gone, page, pipe = list_pages([str(folder)]).pages

    assert read_member(page.archive, page.member) == JPEG
    for one, reason in ((gone, "leads nowhere"), (pipe, "is a device or the like")):
        with pytest.raises(PageError, match=reason):
            read_member(one.archive, one.member)


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
    with pytest.raises(PageError, match=rf"elsewhere is not there on {socket.gethostname()}; .*mount it"):
        read_member(str(tmp_path / "elsewhere"), "p.jpg")


@pytest.mark.parametrize("make", [make_zip, make_tar, make_folder])
def test_what_went_away_may_be_there_on_another_machine(tmp_path: Path, make: Make) -> None:
    archive = make(tmp_path, {"a.jpg": JPEG})

    with pytest.raises(PageError) as member_gone:
        read_member(archive, "gone.jpg")
    with pytest.raises(PageError, match="is not there on") as archive_gone:
        read_member(f"{archive}.gone", "a.jpg")

    assert (member_gone.value.is_only_here, archive_gone.value.is_only_here) == (True, True)


@pytest.mark.parametrize(
    ("number", "is_only_here"),
    [
        *((number, True) for number in (errno.ESTALE, errno.EIO, errno.EACCES, errno.EPERM, errno.ENOTCONN)),
        *((number, False) for number in (errno.ENAMETOOLONG, errno.EINVAL)),
    ],
)
def test_a_share_that_hangs_is_this_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_only_here: bool
) -> None:
    archive = make_folder(tmp_path, {"a.jpg": JPEG})

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)

    with pytest.raises(PageError, match=os.strerror(number)) as failed:
        read_member(archive, "a.jpg")

    assert failed.value.is_only_here is is_only_here


def test_a_page_that_is_broken_is_so_on_all_machines(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path, {"a.jpg": os.urandom(1000)}))
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)

    with pytest.raises(PageError) as failed:
        read_member(str(path), "a.jpg")

    assert not failed.value.is_only_here


def test_an_archive_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, {"p.jpg": b"before"})
    read_member(archive, "p.jpg")

    make_zip(tmp_path, {"p.jpg": b"after, and longer"})

    assert read_member(archive, "p.jpg") == b"after, and longer"


def test_a_compressed_tar_read_about_in_order_is_decompressed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"p{number}.jpg" for number in range(30)]
    file = local_file(Path(make_tar_gz(tmp_path, {name: name.encode() for name in names})))
    archive = CompressedTar(file, Limits(), gzip.open)
    monkeypatch.setattr(archive, "_begun", lambda: pytest.fail("read from its start again"))

    for first, second in zip(names[::2], names[1::2], strict=True):
        assert archive.read(second, hashlib.sha256(second.encode()).hexdigest()) == second.encode()
        assert archive.read(first, hashlib.sha256(first.encode()).hexdigest()) == first.encode()


def test_a_compressed_tar_keeps_little_of_what_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.archives.tars._KEPT_BYTES", 250)
    names = [f"p{number}.jpg" for number in range(9)]
    file = local_file(Path(make_tar_gz(tmp_path, {name: bytes(100) for name in names})))
    archive = CompressedTar(file, Limits(), gzip.open)

    archive.read("p8.jpg")

    assert list(archive._kept) == ["p7.jpg", "p8.jpg"]
    assert archive.read("p0.jpg") == bytes(100)


class AwayOnce(io.BytesIO):
    """A file whose server is away when the second half is read for the first time."""

    n_opened = 0

    def read(self, size: int | None = -1) -> bytes:
        if self.n_opened == 1 and self.tell() > len(self.getbuffer()) // 2:
            raise OSError("the server is away")
        return super().read(size)


def test_a_compressed_tar_is_read_on_when_its_server_is_back(tmp_path: Path) -> None:
    files = {f"p{number}.jpg": os.urandom(50_000) for number in range(20)}
    data = Path(make_tar_gz(tmp_path, files)).read_bytes()

    class Server:
        size_bytes = len(data)
        stamp = None
        n_opened = 0

        def open(self) -> io.BytesIO:
            self.n_opened += 1
            file = AwayOnce(data)
            file.n_opened = self.n_opened
            return file

    archive = CompressedTar(Server(), Limits(), gzip.open)
    with pytest.raises(OSError, match="away"):
        archive.read("p19.jpg")

    assert {name: archive.read(name) for name in reversed(files)} == files


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_of_two_versions_in_a_tar_the_newer_counts_and_the_older_is_named(tmp_path: Path, kind: str) -> None:
    with tarfile.open(tmp_path / "twice.tar", kind) as archive:  # type: ignore[call-overload]
        for name, content in (
            ("p1.jpg", b"old"),
            ("./p1.jpg", b"older"),
            ("p2.jpg", b"p2"),
            ("p1.jpg", b"new"),
        ):
            archive.addfile(_sized(name, content), io.BytesIO(content))

    listing = list_pages([str(tmp_path / "twice.tar")])

    first, second = listing.pages
    assert (first.member, first.digest) == ("p1.jpg", hashlib.sha256(b"new").hexdigest())
    assert read_member(second.archive, second.member) == b"p2"  # it passes by the older ones
    assert read_member(first.archive, first.member) == b"new"
    assert read_member(first.archive, first.member, digest=first.digest) == b"new"
    assert [(one.member, one.kind[:13]) for one in listing.left_out] == [("p1.jpg", "older version")] * 2


def test_a_compressed_tar_is_searched_to_its_end_for_a_newer_version(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "twice.tar.gz", "w:gz") as archive:
        for content in (b"old", b"new"):
            archive.addfile(_sized("p.jpg", content), io.BytesIO(content))
    fresh = CompressedTar(local_file(tmp_path / "twice.tar.gz"), Limits(), gzip.open)

    assert fresh.read("p.jpg") == b"new"
    assert fresh.read("p.jpg", hashlib.sha256(b"old").hexdigest()) == b"old"
    with pytest.raises(KeyError):
        fresh.read("q.jpg")


def _sized(name: str, content: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info


def test_of_two_members_of_one_name_in_a_zip_each_is_a_page(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python says that a name comes twice
        for content in (b"one", b"two", b"three"):
            archive.writestr("a/p.jpg", content)

    listing = list_pages([str(tmp_path / "twice.zip")])

    found = {page.member: read_member(page.archive, page.member) for page in listing.pages}
    assert found == {"a/p.jpg": b"three", "a/p (2).jpg": b"two", "a/p (3).jpg": b"one"}
    assert listing.n_ignored == 0


NAMES = ["桐壺", "帚木", "空蝉", "夕顔", "若紫", "ことば"]


@pytest.mark.parametrize("encoding", ["euc_jp", "cp932", "utf-8"])
@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_names_in_a_tar_are_shown_whatever_their_encoding(tmp_path: Path, kind: str, encoding: str) -> None:
    path = tmp_path / "named.tar"
    with tarfile.open(path, kind, format=tarfile.GNU_FORMAT, encoding=encoding) as archive:  # type: ignore[call-overload]
        for name in NAMES:
            archive.addfile(_sized(f"源氏/{name}.jpg", name.encode()), io.BytesIO(name.encode()))

    found = {page.member: read_member(page.archive, page.member) for page in list_pages([str(path)]).pages}

    assert found == {f"源氏/{name}.jpg": name.encode() for name in NAMES}


@pytest.mark.parametrize("encoding", ["euc_jp", "cp932", "utf-8"])
@pytest.mark.parametrize("is_marked", [False, True], ids=["not marked", "marked as UTF-8"])
def test_names_in_a_zip_are_shown_whatever_their_encoding(
    tmp_path: Path, encoding: str, *, is_marked: bool
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(NAMES):
            raw = f"表/{name}.jpg".encode(encoding)
            archive.writestr(chr(ord("A") + number) * len(raw), name.encode())
    data = bytearray(out.getvalue())
    for number, name in enumerate(NAMES):
        raw = f"表/{name}.jpg".encode(encoding)
        standing_in = chr(ord("A") + number).encode() * len(raw)
        for header in (b"PK\3\4", b"PK\1\2"):
            at = data.index(standing_in, data.index(header))
            start = data.rindex(header, 0, at)
            data[start + (7 if header == b"PK\3\4" else 9)] |= 8 * is_marked
            data[at : at + len(raw)] = raw
    (tmp_path / "named.zip").write_bytes(data)

    pages = list_pages([str(tmp_path / "named.zip")]).pages

    found = {page.member: read_member(page.archive, page.member) for page in pages}
    assert found == {f"表/{name}.jpg": name.encode() for name in NAMES}


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_names_that_look_the_same_are_told_apart(tmp_path: Path, kind: str) -> None:
    names = [b"\xff\xfe.jpg", b"\xfe\xff.jpg", "が.jpg".encode(), "か\u3099.jpg".encode()]
    with tarfile.open(tmp_path / "odd.tar", kind, format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
        for name in names:
            archive.addfile(_sized(os.fsdecode(name), name), io.BytesIO(name))

    pages = list_pages([str(tmp_path / "odd.tar")]).pages

    assert len({page.member for page in pages}) == 4
    assert {read_member(page.archive, page.member, digest=page.digest) for page in pages} == set(names)
    assert {read_member(page.archive, page.member) for page in pages} == set(names)


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz])
def test_names_of_any_length_are_kept_in_a_length_that_databases_index(tmp_path: Path, make: Make) -> None:
    names = [f"{'1' * 5000}.jpg", f"{'語' * 1500}.jpg", f"{'語' * 1500}2.jpg"]

    pages = list_pages([make(tmp_path, {name: name[-5:].encode() for name in names})]).pages

    assert all(len(page.name.encode()) < 1000 for page in pages)
    contents = {read_member(page.archive, page.member) for page in pages}
    assert contents == {b"1.jpg", b"2.jpg", "語.jpg".encode()}


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
