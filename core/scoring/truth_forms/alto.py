"""This module reads ALTO (loc.gov/standards/alto), versions 2 to 4: lines, and characters in Glyphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.scoring.truth_forms.lines import BESIDE, Line, truth_of
from fumikura.core.scoring.truth_forms.tables import checked_box, checked_label
from fumikura.core.scoring.truth_forms.xml_files import below, children, number, parse, place

ROOT = "alto"


def read(path: Path) -> dict[str, Truth]:
    """Read the truth of one page, which is called as its file is.

    A String of one character is a box; one of several needs Glyphs, or its line has no boxes.

    Raises:
        TruthError: names the line of the file.
    """
    root = parse(path)
    unit = next((element.text for element in below(root, "MeasurementUnit")), None) or "pixel"
    if unit.strip() != "pixel":
        raise TruthError(f"{path} measures in {unit!r}, and boxes are needed in pixels; export it in pixels")
    pages = list(below(root, "Page"))
    if len(pages) != 1:
        raise TruthError(
            f"{path} holds {len(pages)} pages; put each into a file of its own, called as its image"
        )
    beside = {tag.get("ID") for tag in below(root, "OtherTag") if tag.get("LABEL") in BESIDE}
    return {path.stem: truth_of([_line(line, path, beside) for line in below(pages[0], "TextLine")])}


def _line(line: Any, path: Path, beside: set[str]) -> Line:
    strings = list(children(line, "String"))
    characters: list[LabelledBox] = []
    for string in strings:
        is_one = len(string.get("CONTENT", "")) == 1
        for glyph in list(children(string, "Glyph")) or ([string] if is_one else []):
            label = checked_label(glyph.get("CONTENT", ""), place(path, glyph))
            characters.append(LabelledBox(_box(glyph, path), label))
    text = "".join(string.get("CONTENT", "") for string in strings)
    tags = {tag for one in (line, line.getparent()) for tag in one.get("TAGREFS", "").split()}
    return Line(_box(line, path), text, characters, is_beside=not tags.isdisjoint(beside))


def _box(element: Any, path: Path) -> Box:
    sides = [number(element, name, path) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    return checked_box(sides[0], sides[1], sides[2], sides[3], place(path, element))
