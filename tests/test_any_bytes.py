"""Any bytes at all are an archive, truth or a mask, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fumikura.core.errors import ArchiveError, TruthError
from fumikura.core.scoring.truth import load_truth
from tests.test_hostile import outcomes

PARTS = st.sampled_from(
    [
        b"PK\3\4",
        b"PK\1\2",
        b"PK\5\6",
        b"PK\6\6",
        b"ustar",
        b"\0" * 512,
        b"\x1f\x8b\x08\0",
        b"BZh9",
        b"\xfd7zXZ\0",
    ]
)


@given(st.lists(st.one_of(PARTS, st.binary(max_size=600)), max_size=12).map(b"".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_any_bytes_are_an_archive_or_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    try:
        found = outcomes(tmp_path / name)
    except ArchiveError:
        return
    assert all(found.values())


CELLS = st.one_of(
    st.integers(-5, 10**20).map(str),
    st.sampled_from(
        ["U+4E00", "U+110000", "U+D800", "", '"', "\0", "人", "page", "１２", "-0", "1e9", " 7 "]
    ),
    st.text(max_size=4),
)
HEADERS = st.sampled_from(
    [
        "Unicode,Image,X,Y,Width,Height",
        "Unicode,Image,X,Y,Block ID,Char ID,Width,Height",
        "image_id,labels",
        "a,b",
    ]
)


@given(
    HEADERS,
    st.lists(st.lists(CELLS, max_size=9), max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_any_table_is_truth_or_one_line(
    tmp_path: Path, header: str, rows: list[list[str]], encoding: str
) -> None:
    text = "\n".join([header, *(",".join(row) for row in rows)])
    (tmp_path / "truth.csv").write_bytes(text.encode(encoding, "surrogatepass"))

    try:
        found = load_truth([tmp_path / "truth.csv"])
    except TruthError:
        return
    for truth in found.values():
        assert all(one.box.width > 0 and one.box.height > 0 and one.label for one in truth.boxes or ())


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_bytes_are_a_mask_or_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mask.png").write_bytes(data)

    with pytest.raises(TruthError, match=r"mask\.png is no mask image"):
        load_truth([tmp_path / "mask.png"])
