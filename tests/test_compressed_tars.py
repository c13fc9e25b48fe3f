"""Compressed tars are read in order, and kept in mind no more than needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from pathlib import Path

import pytest

from fumikura.core.archives.containers import local_file
from fumikura.core.archives.tars import CompressedTar
from fumikura.core.limits import Limits
from tests.simple_archives import (
    make_tar_gz,
)


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
