"""Names in archives: of any encoding and length, twice, and told apart."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from fumikura.core.archives.containers import local_file
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.archives.tars import CompressedTar
from fumikura.core.limits import Limits
from tests.simple_archives import (
    JPEG,
    Make,
    make_tar,
    make_tar_gz,
    make_zip,
)


def _sized(name: str, content: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_japanese_names_in_a_zip_that_does_not_tell_its_encoding(tmp_path: Path, encoding: str) -> None:
    raw = "巻一\\頁.jpg".encode(encoding)
    plain = "x" * len(raw)
    archive = Path(make_zip(tmp_path, {plain: JPEG}))
    archive.write_bytes(archive.read_bytes().replace(plain.encode(), raw))

    (page,) = list_pages([str(archive)]).pages

    assert (page.member, page.name, page.book) == ("巻一/頁.jpg", "頁", "巻一")
    assert read_member(page.archive, page.member) == JPEG


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
