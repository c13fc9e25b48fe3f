"""Inputs made to do harm, or damaged, or odd: each is read or fails with its reason, and that is all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError, PageError, TruthError
from fumikura.core.scoring.truth import load_truth
from fumikura.core.settings import Settings
from tests.handmade import page_png, write_weights
from tests.hostile import MAX_MEMBERS, MODES, images, write_archives

LIMIT_BYTES = 2_000_000_000


@dataclass
class Shelf:
    """The hostile files of this module, written once.

    Attributes:
        archives: by the name of what is wrong with each.
    """

    folder: Path
    archives: dict[str, Path]

    @property
    def images(self) -> Path:
        return self.folder / "images"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("hostile") / "deep" / "shelf"
    (folder / "images").mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of modes that are about to go
        for name, data in images():
            (folder / "images" / name).write_bytes(data)
    return Shelf(folder, write_archives(folder))


def outcome_of(archive: str, member: str) -> str:
    """ "done", or why not; whatever else is raised fails the test."""
    chosen = Settings(max_members=MAX_MEMBERS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
            data = read_member(archive, member, limits=chosen.limits)
            decode(data, long_side=64, max_pixels=chosen.max_pixels)
    except PageError as error:
        return str(error)
    return "done"


def outcomes(path: Path) -> dict[str, str]:
    pages = list_pages([str(path)], limits=Settings(max_members=MAX_MEMBERS).limits).pages
    return {page.member: outcome_of(page.archive, page.member) for page in pages}


@pytest.mark.slow
def test_every_hostile_image_is_read_or_has_its_reason(shelf: Shelf) -> None:
    found = outcomes(shelf.images)

    assert len(found) >= 60 + len(MODES)
    assert all(found.values())
    for name in (
        "animated_apng.png",
        "jpeg_named.png",
        "png_named.jpg",
        "頁.png",
        "line\nbreak.png",
        "long.png",
    ):
        assert found[name] == "done", name
    assert found["largest_page.png"] == "done"
    told = {
        "cut_00.jpg": "is empty",
        "animated_gif.png": "an animation of 3 images",
        "many_pages.tif": "holds 3 pages",
        "text.jpg": "a text that begins '404 Not Found'",
        "pixel_bomb.png": "30000 × 30000 pixels, more than",
        "endless.png": "more than 80,000,000",
        "thin.png": "only 1 × 30000",
        "tiff_loop.tif": "done",
    }
    assert {name: words for name, words in told.items() if words not in found[name]} == {}
    # A JPEG without its end is shown by some programs with a grey rest; ours says so instead.
    cut = [found[f"cut_{cut:02}.{suffix}"] for cut in range(20) for suffix in ("jpg", "png")]
    assert "done" not in cut


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "escaping.zip",
            dict.fromkeys(["../escaped.png", "/tmp/fumikura_escaped.png", "C:/escaped.png"], "done"),
        ),
        ("link.zip", {"link.png": "link or a device", "page.png": "done"}),
        ("four_gigabytes.zip", {"huge.png": "4,278,190,079 bytes"}),
        ("encrypted.zip", {"secret.png": "is encrypted"}),
        ("shift_jis.zip", {"源氏/表紙.png": "done"}),
        ("nested.zip", {"named_as.png": "but zip or tar", "outer.png": "done"}),
        ("bomb.zip", {"bomb.png": "only a bomb", "page.png": "done"}),
        ("overlapping.zip", {"0049.png": "so small an archive", "page.png": "done"}),
        ("wrong_size.zip", {"liar.png": "cannot be read", "page.png": "done"}),
        ("links.tar", {"hard.png": "not followed", "device.png": "not followed", "/absolute.png": "done"}),
        ("sparse.tar", {"sparse.png": "sparse", "page.png": "done"}),
        ("claims_more.tar", {"first.png": "done", "huge.png": "4,294,967,296 bytes", "": "cut off"}),
        ("bomb.tar.gz", {"page.png": "done", "bomb.png": "only a bomb", "": "only a bomb"}),
        ("bomb.tar.bz2", {"page.png": "done", "": "only a bomb"}),
        ("bomb.tar.xz", {"page.png": "done", "": "only a bomb"}),
        ("many.tar.gz", {"page.png": "done", "": "more than 2,000 files"}),
    ],
)
def test_of_a_hostile_archive_what_can_be_read_is_read(
    shelf: Shelf, name: str, expected: dict[str, str]
) -> None:
    found = outcomes(shelf.archives[name])

    assert {
        member: found.get(member) for member, words in expected.items() if words not in found.get(member, "")
    } == {}
    assert all(found.values())


@pytest.mark.parametrize("name", ["cut.zip", "noise.zip", "noise.tar.gz"])
def test_an_archive_that_gives_no_name_is_one_line(shelf: Shelf, name: str) -> None:
    with pytest.raises(ArchiveError, match=rf"{name} .*; copy it again from its source$"):
        list_pages([str(shelf.archives[name])])


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_run_over_all_of_them_ends_in_order_and_in_bounds(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf.images / "sound.png").write_bytes(page_png(0))
    before = set(shelf.folder.parents[1].rglob("*"))
    environment = run_environment(tmp_path, monkeypatch)

    process = subprocess.Popen(
        fumikura("run", str(shelf.images), *map(str, shelf.archives.values()), "--json", "--workers", "1"),
        cwd=tmp_path / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, watched_memory(process.pid) as peak:
        try:
            stdout, stderr = process.communicate(timeout=350)
        finally:
            process.kill()

    assert process.returncode == 3, stderr
    figures = json.loads(stdout)
    assert figures["pages"] == figures["done"] + figures["failed"]
    assert figures["done"] > 40
    assert peak.bytes < LIMIT_BYTES, f"{peak.bytes:,}"
    assert set(shelf.folder.parents[1].rglob("*")) == before
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["fumikura.db"]
    assert not Path("/tmp/fumikura_escaped.png").exists()
    failed = failures_of(tmp_path / "work", environment)
    assert len(failed) == figures["failed"]
    assert {one["status"] for one in failed} == {"failed"}
    assert all(one["reason"] and "please report" not in one["reason"] for one in failed), failed
    assert {"cut.zip", "noise.zip", "noise.tar.gz"} <= {one["name"] for one in failed}


def run_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "weights").mkdir()
    (tmp_path / "work").mkdir()
    segmenter, classifier = write_weights(tmp_path / "weights")
    chosen = Settings(
        segmenter_path=segmenter,
        classifier_path=classifier,
        devices="cpu",
        threads=2,
        max_members=MAX_MEMBERS,
    )
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    return {**os.environ, **chosen.to_environment()}


def fumikura(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from fumikura.cli.main import main; main()", *arguments]


def failures_of(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    answer = subprocess.run(
        fumikura("failed", "--json"), cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in answer.stdout.splitlines()]


class Peak:
    bytes = 0


class watched_memory:  # noqa: N801
    """The most memory that a process and its children held together, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        self._root, self._stop, self._peak = psutil.Process(pid), threading.Event(), Peak()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self._peak

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._peak.bytes = max(self._peak.bytes, sum(self._each()))

    def _each(self) -> Iterator[int]:
        try:
            for process in (self._root, *self._root.children(recursive=True)):
                yield process.memory_info().rss
        except psutil.NoSuchProcess:
            return


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
