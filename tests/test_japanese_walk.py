"""Whoever reads Japanese gets no half-English lines, in all that the usual commands say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fumikura.cli import progress
from fumikura.cli.language import translated, use_language
from fumikura.cli.main import SECTIONS, main
from fumikura.core.export.formats import FORMATS
from fumikura.core.overlay import draw
from fumikura.core.page import Box, Character, PageImage
from tests.japanese_walk import read_by_hand, write_book
from tests.messages import sources

WALK = """
doctor
run nowhere.zip
run book.zip --truth nowhere.csv
run notes.txt
run book.zip --book 源氏 --truth truth.csv
run book.zip --book 源氏
status
failed
query pages --suspicious
query characters 一
query text 一二
query runs
query stats --books
text
text nowhere
export --format txt 出力
export --format csv 出力
export --format nowhere 出力
export 出力
show book_00000_1
cancel 3
cancel 1
cancel 1
cancel 99
retry
status
enqueue book.zip
correct export 直す
forget 1
forget 1 --yes
forget
run book.zip --workers 0
run
db upgrade
db upgrade --db new.db
text --db nowhere.db
"""

#: What Japanese writes in these letters: formats, measures, what is typed, what a machine is.
ALLOWED = """
fumikura pages characters upgrade right weight COMMAND ARGS OPTIONS ARCHIVE OUT PAGE BOOK RUN
Dice IoU JPEG PNG TIFF WebP HEIC AVIF BMP GIF PDF CPU cpu AMX AVX Intel Xeon Processor
torch pip install OpenVINO sqlite broker
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("FUMIKURA_DATABASE_URL", "FUMIKURA_BROKER_URL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANGUAGE", "ja")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setattr("fumikura.worker.launcher.run_locally", read_by_hand)
    monkeypatch.setattr(progress, "_QUIET_S", 0.0)
    monkeypatch.chdir(tmp_path)
    write_book(tmp_path)
    yield tmp_path
    use_language({})


def english_in(text: str) -> set[str]:
    """The words that are neither quoted, nor options, paths, URLs or names of files, nor allowed."""
    text = re.sub(r"`[^`]*`|'[^']*'|[\[<][A-Z|]+[\]>]|--[a-z-]+|\S*[/.]\w[\w.]*|\w*[_\d]\w*", " ", text)
    return set(re.findall(r"[A-Za-z]{3,}", text)) - _allowed()


def _allowed() -> set[str]:
    return {*ALLOWED.split(), *FORMATS, *(name for names in SECTIONS.values() for name in names)}


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_no_line_of_a_walk_is_half_english() -> None:
    found: dict[str, set[str]] = {}
    for line in WALK.strip().splitlines():
        result = CliRunner().invoke(main, line.split(), input="n\n", prog_name="fumikura")
        assert isinstance(result.exception, SystemExit | None), line
        found |= {said: words for said in result.output.splitlines() if (words := english_in(said))}

    assert found == {}


@pytest.mark.usefixtures("folder")
def test_the_legend_of_a_drawing_is_in_the_reader_s_language() -> None:
    use_language({"LANGUAGE": "ja", "LC_ALL": "C.UTF-8"})
    page = PageImage(np.full((90, 60, 3), 255, np.uint8), 60, 90)
    said: list[str] = []

    def say(text: str) -> str:
        said.append(text)
        return text

    draw(
        page,
        mask=np.ones((9, 6), bool),
        characters=[Character(Box(9, 9, 9, 9), "あ", 0.9)],
        say=say,
    )

    assert said == ["how sure:", "reading order", "mask"]
    assert [translated(text) for text in said] == ["確信度:", "読み順", "マスク"]


def test_no_message_is_put_together_of_pieces() -> None:
    """No template fits what `+=` or a condition within a sentence makes: `sentences` joins whole ones."""
    found = [
        f"{path.name}:{getattr(node, 'lineno', 0)}"
        for path, tree in sources()
        if "cli" in path.parts or "core" in path.parts
        for node in ast.walk(tree)
        if _is_put_together(node)
    ]

    assert found == []


def _is_put_together(node: ast.AST) -> bool:
    if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.JoinedStr | ast.Constant):
        return _has_words(node.value)
    if isinstance(node, ast.FormattedValue):
        return isinstance(node.value, ast.IfExp | ast.BoolOp) and _has_words(node.value)
    return False


def _has_words(node: ast.AST) -> bool:
    inner = [child for child in ast.walk(node) if isinstance(child, ast.Constant)]
    return any(isinstance(one.value, str) and re.search(r"[A-Za-z]{2,}", one.value) for one in inner)
