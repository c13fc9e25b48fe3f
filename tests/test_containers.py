"""Folders, zip and tar files: read by many threads, replaced, and gone."""

from __future__ import annotations

import errno
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fumikura.core.archives.places import read_member
from fumikura.core.errors import PageError
from tests.simple_archives import (
    JPEG,
    Make,
    every_kind,
    make_folder,
    make_tar,
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
