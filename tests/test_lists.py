"""An archive may be a list of archives."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from fumikura.core.archives.lists import with_lists
from fumikura.core.errors import ArchiveError


def test_a_list_stands_for_the_archives_in_it_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffb.zip\r\n\r\n和 本/\n".encode())

    found = with_lists(["a.zip", f"@{tmp_path}/list.txt", "-"], io.BytesIO(b"c.zip\nd *.zip"))

    assert found == ["a.zip", "b.zip", "和 本/", "c.zip", "d *.zip"]


def test_names_of_find_print0_may_hold_line_ends_and_any_bytes() -> None:
    assert with_lists(["-"], io.BytesIO(b"a\nb.zip\0c\xff.zip\0")) == ["a\nb.zip", os.fsdecode(b"c\xff.zip")]


def test_a_file_that_begins_like_a_list_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("@book.zip").touch()

    assert with_lists(["@book.zip"], io.BytesIO()) == ["@book.zip"]


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        ("@no.txt", r"the list no\.txt cannot be read"),
        ("-", "the standard input names no archive"),
    ],
)
def test_a_list_that_is_missing_or_empty_is_one_line(archive: str, problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        with_lists([archive], io.BytesIO(b"\n \n"))
