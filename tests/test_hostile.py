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

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.settings import Settings
from tests.handmade import page_png, write_weights
from tests.hostile import MODES, images
from tests.hostile_archives import MAX_MEMBERS, write_archives
from tests.hostile_documents import pdf

#: Of their own; the files of libraries, which the system shares and drops at need, are half a gigabyte more.
LIMIT_BYTES = 1_600_000_000
#: Archives of which every page is named below.
EXACT = {"twice.zip", "updated.tar", "updated.tar.gz", "euc_jp.tar", "one_look.tar", "nas.zip", "mac.zip"}


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
        "many_pages.tif/many_pages_0003": "done",
        "text.jpg": "a text that begins '404 Not Found'",
        "pixel_bomb.png": "30000 × 30000 pixels, more than",
        "endless.png": "more than 80,000,000",
        "thin.png": "only 1 × 30000",
        "tiff_loop.tif": "done",
        "encrypted.pdf": "the PDF is encrypted; save it without its password",
        "poster.pdf/poster_0001": "833333 × 833333 pixels, more than",
        "cut.pdf": "the PDF is damaged",
        "absurd_tiles.jp2": "done",
        "no_tiles.jp2": "the image is damaged",
        "endless.jp2": "4294967295 × 4294967295 pixels, more than",
        "many_tiles.j2k": "the image is damaged",
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
        ("twice.zip", {"p.png": "done", "p (2).png": "a text", "Q.png": "done", "q.png": "done"}),
        ("updated.tar", {"p.png": "done", "q.png": "done"}),
        ("updated.tar.gz", {"p.png": "done", "q.png": "done"}),
        ("euc_jp.zip", {"桐壺/若紫.png": "done"}),
        ("euc_jp_marked.zip", {"桐壺/若紫.png": "done"}),
        ("shift_jis_marked.zip", {"桐壺/若紫.png": "done"}),
        ("euc_jp.tar", {f"源氏/{name}.png": "done" for name in ("桐壺", "帚木", "空蝉", "夕顔", "若紫")}),
        ("one_look.tar", dict.fromkeys(["��.png", "�� (2).png", "が.png", "が (2).png"], "done")),
        ("nas.zip", {"p.png": "done"}),
        ("mac.zip", {"がくの本/ぱ.png": "done"}),
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
    if name in EXACT:
        assert set(found) == set(expected)


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
    assert len({one["page_id"] for one in failed}) == figures["failed"]
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
    """The most memory of their own that a process and its children held together, looked at every 20 ms."""

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
                memory = process.memory_info()
                yield memory.rss - memory.shared
        except psutil.NoSuchProcess:
            return


@pytest.mark.slow
def test_each_page_of_a_pdf_of_ten_thousand_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "long.pdf").write_bytes(pdf(10_000))

    pages = list_pages([str(tmp_path)]).pages

    assert len({page.digest for page in pages}) == 10_000
    assert outcome_of(pages[-1].archive, pages[-1].member) == "done"
