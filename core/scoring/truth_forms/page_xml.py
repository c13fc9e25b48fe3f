"""This module reads PAGE-XML (github.com/PRImA-Research-Lab/PAGE-XML): lines, and characters in Glyphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fumikura.core.errors import TruthError
from fumikura.core.page import Box, LabelledBox, Truth
from fumikura.core.scoring.truth_forms.lines import BESIDE, Line, truth_of
from fumikura.core.scoring.truth_forms.tables import checked_box, checked_label
from fumikura.core.scoring.truth_forms.xml_files import below, children, parse, place

ROOT = "PcGts"
_TYPE = re.compile(r"structure *\{[^}]*type: *(\w+)")


def read(path: Path) -> dict[str, Truth]:
    """Read the truth of one page, which is called as its file is; regions in the order of ReadingOrder.

    A Word of one character is a box; one of several needs Glyphs, or its line has no boxes.

    Raises:
        TruthError: names the line of the file.
    """
    root = parse(path)
    lines = [
        _line(line, path, is_beside=_is_beside(region))
        for region in _regions(root)
        for line in children(region, "TextLine")
    ]
    return {path.stem: truth_of(lines)}


def _is_beside(region: Any) -> bool:
    """Tell whether a region holds furigana or what stands in the margin, named as our export names them."""
    found = _TYPE.search(region.get("custom", ""))
    return found is not None and found[1] in BESIDE


def _regions(root: Any) -> Iterator[Any]:
    """Give the text regions, those first that ReadingOrder names."""
    regions = {
        region.get("id", str(number)): region for number, region in enumerate(below(root, "TextRegion"))
    }
    for group in below(root, "ReadingOrder"):
        for reference in below(group, "RegionRefIndexed", "RegionRef"):
            if (region := regions.pop(reference.get("regionRef"), None)) is not None:
                yield region
    yield from regions.values()


def _line(line: Any, path: Path, *, is_beside: bool) -> Line:
    words = list(children(line, "Word"))
    characters: list[LabelledBox] = []
    for word in words:
        for glyph in list(children(word, "Glyph")) or ([word] if len(_text(word)) == 1 else []):
            label = checked_label(_text(glyph), place(path, glyph))
            characters.append(LabelledBox(_box(glyph, path), label))
    text = _text(line) or "".join(_text(word) or _glyph_text(word) for word in words)
    return Line(_box(line, path), text, characters, is_beside=is_beside)


def _glyph_text(word: Any) -> str:
    return "".join(map(_text, children(word, "Glyph")))


def _text(element: Any) -> str:
    """Give what an element says; of several readings the first."""
    equivalents = sorted(children(element, "TextEquiv"), key=_index)
    return next((child.text or "" for one in equivalents[:1] for child in children(one, "Unicode")), "")


def _index(element: Any) -> int:
    index = element.get("index", "0")
    return int(index) if index.isdecimal() else 0


def _box(element: Any, path: Path) -> Box:
    """Give the box around an element's polygon."""
    points = next((coords.get("points", "") for coords in children(element, "Coords")), "")
    try:
        xs, ys = zip(
            *((float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())), strict=True
        )
    except ValueError as error:
        raise TruthError(f"{place(path, element)}: {points!r} are no points; correct them") from error
    left, top = min(xs), min(ys)
    return checked_box(left, top, max(xs) - left, max(ys) - top, place(path, element))
