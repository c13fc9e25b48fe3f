"""Links, devices and pipes in archives and folders."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError
from tests.simple_archives import (
    JPEG,
    Make,
    every_tar,
    make_folder,
    make_tar_gz,
    make_zip,
)


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
