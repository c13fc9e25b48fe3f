"""This module writes PAGE-XML of 2019 (github.com/PRImA-Research-Lab/PAGE-XML).

A TextRegion is the text of a leaf, its furigana or its margin; a TextLine is a column, a Glyph a character,
its `conf` the confidence. TextEquivs of a higher index are the next-best labels with theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import IO, Any

from lxml import etree

from fumikura.core.export.blocks import Block, blocks, by_role
from fumikura.core.export.columns import axis, box_around, image_name, mean_confidence, program
from fumikura.core.export.formats import Format, Style
from fumikura.core.page import Box, Character, Role
from fumikura.core.read_page import ReadPage

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
#: What PAGE calls a region, by the role of what stands in it.
_KINDS = {Role.MAIN: "paragraph", Role.FURIGANA: "other", Role.MARGIN: "marginalia"}
_STRUCTURE = "structure {type:%s;}"
_DIRECTION = {"readingDirection": "top-to-bottom", "textLineOrder": "right-to-left"}


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write a page. Regions and lines stand in reading order."""
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
    parts = blocks(page)
    for index, block in enumerate(parts):
        _add(order, "RegionRefIndexed", index=str(index), regionRef=f"text{block.number}")
    for block in parts:
        _add_region(area, block)


def _add_region(area: Any, block: Block) -> None:
    kind = {"id": f"text{block.number}", "type": _KINDS[block.role], **_structure(block.role)}
    region = _add(area, "TextRegion", **kind, **_DIRECTION)
    _add_corners(region, box_around(block.characters))
    first = block.columns[0][0]
    for number, column in block.columns:
        _add_line(region, number, column, index=number - first)
    lines = ("".join(character.label for character in column) for _, column in block.columns)
    _add_reading(region, "\n".join(lines))


def _structure(role: Role) -> dict[str, str]:
    """Name a role as Transkribus does; main text needs no name."""
    return {} if role is Role.MAIN else {"custom": _STRUCTURE % role.value}


def _add_line(region: Any, number: int, column: Sequence[Character], *, index: int) -> None:
    box, confidence = box_around(column), mean_confidence(column)
    text = "".join(character.label for character in column)
    place = f"readingOrder {{index:{index};}}"
    line = _add(region, "TextLine", id=f"line{number}", custom=place, readingDirection="top-to-bottom")
    _add_corners(line, box)
    _add(line, "Baseline", points=_points(axis(box)))
    position = 0
    for part, (role, characters) in enumerate(by_role(tuple(column)), start=1):
        named = _structure(role) if role is Role.NOTE else {}
        word = _add(line, "Word", id=f"word{number}_{part}", **named)
        _add_corners(word, box_around(characters))
        for character in characters:
            position += 1
            _add_glyph(word, f"glyph{number}_{position}", character)
        said = "".join(character.label for character in characters)
        _add_reading(word, said, conf=f"{mean_confidence(characters):.4f}")
    _add_reading(line, text, conf=f"{confidence:.4f}")


def _add_glyph(word: Any, mark: str, character: Character) -> None:
    glyph = _add(word, "Glyph", id=mark)
    _add_corners(glyph, character.box)
    readings = ((character.label, character.confidence), *character.alternatives)
    for index, (label, probability) in enumerate(readings):
        _add_reading(glyph, label, index=str(index), conf=f"{probability:.4f}")


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
