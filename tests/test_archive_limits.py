"""Archives that would fill memory or disk are stopped before they do."""

from __future__ import annotations

import hashlib
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits
from tests.simple_archives import (
    JPEG,
    Make,
    every_kind,
    every_tar,
    make_tar,
    make_tar_bz2,
    make_tar_gz,
    make_tar_xz,
    make_zip,
)


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
