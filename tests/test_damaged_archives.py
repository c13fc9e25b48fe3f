"""Archives that are cut off, damaged or encrypted: what is whole is read, the rest fails with its reason."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError, PageError
from tests.simple_archives import (
    JPEG,
    Make,
    every_tar,
    make_tar,
    make_tar_gz,
    make_zip,
)


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
