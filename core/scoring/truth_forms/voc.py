"""This module reads Pascal VOC XML, as the National Diet Library publishes the layout of openings.

Its objects are lines of text (`2_handwritten`, `3_typography`); illustrations, stamps and the whole are no
text. Objects called by a character, あ or U+3042, are boxes of characters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.scoring.truth_forms import xml_files
from fumikura.core.scoring.truth_forms.tables import checked_box
from fumikura.core.scoring.truth_forms.xml_files import children, parse, place
from fumikura.core.vocabulary import clean_text

ROOT = "annotation"
#: Names of NDL's layout data set (github.com/ndl-lab/layout-dataset).
LINES = frozenset({"2_handwritten", "3_typography"})
MATERIAL = "1_overall"
NO_TEXT = frozenset({MATERIAL, "4_illustration", "5_stamp"})
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")


def read(path: Path) -> dict[str, Truth]:
    """Read the truth of one page, which is called as its file is, whatever stands in `filename`.

    Raises:
        TruthError: names the line of the file.
    """
    lines: list[LabelledBox] = []
    boxes: list[LabelledBox] = []
    for one in children(parse(path), "object"):
        name = _value(one, "name")
        if name in NO_TEXT:
            continue
        code_point = _CODE_POINT.fullmatch(name)
        label = clean_text(chr(int(code_point[1], 16)) if code_point else name)
        if name not in LINES and len(label) != 1:
            raise TruthError(
                f"{place(path, one)}: {name!r} is neither a character nor one of"
                f" {', '.join(sorted(LINES | NO_TEXT))}; rename it, or take it out"
            )
        (lines if name in LINES else boxes).append(
            LabelledBox(_box(one, path), "" if name in LINES else label)
        )
    # Nothing that it names is a character: then it tells lines, of which there may be none.
    return {path.stem: Truth(boxes=tuple(boxes)) if boxes else Truth(lines=tuple(lines))}


def read_boxes(path: Path) -> list[tuple[str, Box]]:
    """Read all boxes of a file with their names, whatever these are.

    Raises:
        TruthError: it is no such file, or names the line of the damage.
    """
    if xml_files.root_kind(path) != ROOT:
        raise TruthError(f"{path} is no VOC XML (its root is not <{ROOT}>); name the layout of a photograph")
    return [(_value(one, "name"), _box(one, path)) for one in children(parse(path), "object")]


def _value(element: Any, name: str) -> str:
    return next((child.text or "" for child in children(element, name)), "").strip()


def _box(element: Any, path: Path) -> Box:
    corners = next(children(element, "bndbox"), element)
    try:
        left, top, right, bottom = (float(_value(corners, name)) for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        raise TruthError(f"{place(path, element)}: its bndbox lacks a number; correct it") from error
    return checked_box(left, top, right - left, bottom - top, place(path, element))
