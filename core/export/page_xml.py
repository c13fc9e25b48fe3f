"""This module writes PAGE-XML of 2019 (github.com/PRImA-Research-Lab/PAGE-XML).

A TextLine is a column, a Glyph a character, its `conf` the confidence. TextEquivs of a higher index are the
next-best labels with theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import IO, Any

from lxml import etree

from fumikura.core.export.columns import axis, box_around, image_name, mean_confidence, program
from fumikura.core.export.formats import Format, Style
from fumikura.core.page import Box, Character
from fumikura.core.read_page import ReadPage

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
_DIRECTION = {"readingDirection": "top-to-bottom", "textLineOrder": "right-to-left"}


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write a page. All its text is one region; lines stand in reading order."""
    for page in pages:
        root = etree.Element(f"{{{NAMESPACE}}}PcGts", nsmap={None: NAMESPACE})
        metadata = _add(root, "Metadata")
        moment = page.finished_at.astimezone(UTC).isoformat(timespec="seconds")
        _add(metadata, "Creator").text = f"{program()}, recipe {page.recipe_digest}"
        _add(metadata, "Created").text = _add(metadata, "LastChange").text = moment
        size = {"imageWidth": str(page.width), "imageHeight": str(page.height)}
        area = _add(root, "Page", imageFilename=image_name(page), **size, **_DIRECTION)
        if page.characters:
            _add_text(area, page)
        etree.ElementTree(root).write(file, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _add_text(area: Any, page: ReadPage) -> None:
    order = _add(_add(area, "ReadingOrder"), "OrderedGroup", id="order")
    _add(order, "RegionRefIndexed", index="0", regionRef="text")
    region = _add(area, "TextRegion", id="text", type="paragraph", **_DIRECTION)
    _add_corners(region, box_around(page.characters))
    for number, column in enumerate(page.columns, start=1):
        _add_line(region, number, column)
    lines = ("".join(character.label for character in column) for column in page.columns)
    _add_reading(region, "\n".join(lines))


def _add_line(region: Any, number: int, column: Sequence[Character]) -> None:
    box, confidence = box_around(column), mean_confidence(column)
    text = "".join(character.label for character in column)
    place = f"readingOrder {{index:{number - 1};}}"
    line = _add(region, "TextLine", id=f"line{number}", custom=place, readingDirection="top-to-bottom")
    _add_corners(line, box)
    _add(line, "Baseline", points=_points(axis(box)))
    word = _add(line, "Word", id=f"word{number}")
    _add_corners(word, box)
    for position, character in enumerate(column, start=1):
        glyph = _add(word, "Glyph", id=f"glyph{number}_{position}")
        _add_corners(glyph, character.box)
        readings = ((character.label, character.confidence), *character.alternatives)
        for index, (label, probability) in enumerate(readings):
            _add_reading(glyph, label, index=str(index), conf=f"{probability:.4f}")
    _add_reading(word, text, conf=f"{confidence:.4f}")
    _add_reading(line, text, conf=f"{confidence:.4f}")


def _add_reading(element: Any, text: str, **values: str) -> None:
    _add(_add(element, "TextEquiv", **values), "Unicode").text = text


def _add_corners(element: Any, box: Box) -> None:
    right, bottom = box.x + box.width, box.y + box.height
    corners = ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom))
    _add(element, "Coords", points=_points(corners))


def _points(points: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _add(parent: Any, kind: str, **values: str) -> Any:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{kind}", values)


FORMAT = Format(extents=("page",), suffix=".xml", write=write, has_alternatives=True)
