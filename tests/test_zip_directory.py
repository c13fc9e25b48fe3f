"""A zip of too many files is refused before its directory is parsed, whatever it claims."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fumikura.core.archives.containers import open_container
from fumikura.core.archives.zip_directory import check_directory
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

END = struct.Struct("<4s4H2LH")


def zip_of(n_members: int, *, comment: bytes = b"", before: bytes = b"") -> bytes:
    file = io.BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(n_members):
            archive.writestr(f"images/{number}.jpg", b"")
        archive.comment = comment
    return file.getvalue()


@pytest.mark.parametrize("comment", [b"", b"scanned in 1998", b"PK\5\6 in the comment" + 30 * b"x"])
@pytest.mark.parametrize("before", [b"", b"a program that unpacks itself"])
def test_as_many_files_as_are_allowed_are_read_and_one_more_is_refused(comment: bytes, before: bytes) -> None:
    check_directory(io.BytesIO(zip_of(7, comment=comment, before=before)), "a.zip", Limits(max_members=7))
    if b"PK" not in comment:  # where that stands last, no reader finds the true end
        with pytest.raises(ArchiveError, match=r"^a\.zip holds more than 6 files; split it"):
            check_directory(
                io.BytesIO(zip_of(7, comment=comment, before=before)), "a.zip", Limits(max_members=6)
            )


def test_entries_across_pieces_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.archives.zip_directory._PIECE_BYTES", 61)

    check_directory(io.BytesIO(zip_of(40)), "a.zip", Limits(max_members=40))
    with pytest.raises(ArchiveError, match="holds more than 39 files"):
        check_directory(io.BytesIO(zip_of(40)), "a.zip", Limits(max_members=39))


def test_what_the_end_claims_does_not_count() -> None:
    data = bytearray(zip_of(9))
    fields = list(END.unpack(data[-END.size :]))
    fields[3] = fields[4] = 1  # files, as the end has it
    data[-END.size :] = END.pack(*fields)

    with pytest.raises(ArchiveError, match="holds more than 8 files"):
        check_directory(io.BytesIO(bytes(data)), "a.zip", Limits(max_members=8))


def test_a_zip_with_64_bits_is_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(66_000):  # more than 16 bits hold
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")

    with (tmp_path / "a.zip").open("rb") as file:
        check_directory(file, "a.zip", Limits(max_members=66_000))
        with pytest.raises(ArchiveError, match="holds more than 65,999 files"):
            check_directory(file, "a.zip", Limits(max_members=65_999))


@pytest.mark.parametrize("data", [b"", b"PK\5\6", b"\0" * 100, b"PK\5\6" + b"\xff" * 18])
def test_what_has_no_directory_is_left_to_the_reader(data: bytes) -> None:
    check_directory(io.BytesIO(data), "a.zip", Limits())


@pytest.mark.slow
def test_a_million_files_are_refused_without_memory(tmp_path: Path) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 6, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"p.jpg"
    n_members = 2_000_000
    directory = entry * n_members
    end = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    (tmp_path / "a.zip").write_bytes(directory + end)
    del directory

    tracemalloc.start()
    began_s = time.monotonic()
    with pytest.raises(ArchiveError, match="holds more than 100,000 files"):
        open_container(tmp_path / "a.zip", Limits())
    seconds, peak_bytes = time.monotonic() - began_s, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 20_000_000
    assert seconds < 60  # parsed, they take some minutes
