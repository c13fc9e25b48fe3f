"""This module writes ALTO 4.4 (loc.gov/standards/alto): a TextLine a column, a Glyph a character.

A TextBlock is the text of a leaf, its furigana or its margin; tags say which, and what is a note in halves.
GC is a character's confidence, and each Variant one of the next-best labels with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

from lxml import etree

from fumikura.core.export.blocks import blocks, by_role
from fumikura.core.export.columns import axis, box_around, image_name, mean_confidence, program
from fumikura.core.export.formats import Format, Style
from fumikura.core.page import Box, Character, Role
from fumikura.core.read_page import ReadPage

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write a page. Lines stand in reading order and run from top to bottom, as BASEDIRECTION says."""
    for page in pages:
        root = etree.Element(f"{{{NAMESPACE}}}alto", {"SCHEMAVERSION": "4.4"}, nsmap={None: NAMESPACE})
        _describe(root, page)
        _tag(root, page)
        _lay_out(root, page)
        etree.ElementTree(root).write(file, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _describe(root: Any, page: ReadPage) -> None:
    description = _add(root, "Description")
    _add(description, "MeasurementUnit").text = "pixel"
    _add(_add(description, "sourceImageInformation"), "fileName").text = image_name(page)
    processing = _add(description, "Processing", ID="reading")
    _add(processing, "processingCategory").text = "contentGeneration"
    _add(processing, "processingDateTime").text = page.finished_at.isoformat()
    _add(processing, "processingStepSettings").text = f"recipe {page.recipe_digest}"
    name, version = program().split()
    software = _add(processing, "processingSoftware")
    _add(software, "softwareName").text = name
    _add(software, "softwareVersion").text = version


def _tag(root: Any, page: ReadPage) -> None:
    """Name the roles that blocks and strings refer to; main text needs no name."""
    roles = sorted({character.role for character in page.characters} - {Role.MAIN})
    if roles:
        tags = _add(root, "Tags")
        for role in roles:
            _add(tags, "OtherTag", ID=role.value, TYPE="role", LABEL=role.value)


def _tags(role: Role) -> dict[str, str]:
    return {} if role is Role.MAIN else {"TAGREFS": role.value}


def _lay_out(root: Any, page: ReadPage) -> None:
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    layout = _add(_add(root, "Layout"), "Page", ID="page", PHYSICAL_IMG_NR="1", LANG="ja", **size)
    space = _add(layout, "PrintSpace", HPOS="0", VPOS="0", **size)
    for part in blocks(page):
        sides = _sides(box_around(part.characters))
        block = _add(
            space, "TextBlock", ID=f"text{part.number}", **_tags(part.role), **sides, BASEDIRECTION="ttb"
        )
        for number, column in part.columns:
            _add_line(block, number, column)


def _add_line(block: Any, number: int, column: Sequence[Character]) -> None:
    box = box_around(column)
    baseline = " ".join(f"{x},{y}" for x, y in axis(box))
    line = _add(block, "TextLine", ID=f"line{number}", **_sides(box), BASELINE=baseline, BASEDIRECTION="ttb")
    corners = ((box.x, box.y), (box.x + box.width, box.y))
    below = [(x, y + box.height) for x, y in reversed(corners)]
    points = " ".join(f"{x},{y}" for x, y in (*corners, *below))
    _add(_add(line, "Shape"), "Polygon", POINTS=points)
    place = 0
    for part, (role, characters) in enumerate(by_role(tuple(column)), start=1):
        known = {
            "ID": f"string{number}_{part}",
            **({} if role is not Role.NOTE else _tags(role)),
            **_sides(box_around(characters)),
            "CONTENT": "".join(character.label for character in characters),
            "WC": f"{mean_confidence(characters):.4f}",
        }
        string = _add(line, "String", **known)
        for character in characters:
            place += 1
            _add_glyph(string, f"glyph{number}_{place}", character)


def _add_glyph(string: Any, mark: str, character: Character) -> None:
    known = {"CONTENT": character.label, "GC": f"{character.confidence:.4f}"}
    glyph = _add(string, "Glyph", ID=mark, **known, **_sides(character.box))
    for label, probability in character.alternatives:
        _add(glyph, "Variant", CONTENT=label, VC=f"{probability:.4f}")


def _sides(box: Box) -> dict[str, str]:
    return {"HPOS": str(box.x), "VPOS": str(box.y), "WIDTH": str(box.width), "HEIGHT": str(box.height)}


def _add(parent: Any, kind: str, **values: str) -> Any:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{kind}", values)


FORMAT = Format(extents=("page",), suffix=".xml", write=write, has_alternatives=True)
