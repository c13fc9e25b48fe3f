"""Archives of every kind, made of names and bytes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

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
