"""This module writes TEI P5 (tei-c.org): a zone of the facsimile for each column, and text that refers to it.

Each leaf begins with a `pb`, each column with an `lb`; what is marked as unsure is `unclear`. Furigana are
`ruby`, a note in two halves is a `note` of two `seg`, and what stands in the margin `fw`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

from lxml import etree

from fumikura.core.export.blocks import Block, blocks, readings
from fumikura.core.export.columns import box_around, image_name, program, xml_text
from fumikura.core.export.formats import Format, Style
from fumikura.core.export.notes import stretches
from fumikura.core.page import IN_TEXT, Box, Character, Role
from fumikura.core.read_page import ReadPage

NAMESPACE = "http://www.tei-c.org/ns/1.0"
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NAMES = {None: NAMESPACE}


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write a document. The text, which comes after all surfaces, waits in a temporary file."""
    remaining = iter(pages)
    first = next(remaining)
    title = {"page": first.name, "book": first.book, "all": "pages that fumikura read"}[style.extent]
    with etree.xmlfile(file, encoding="utf-8") as xml, TemporaryFile() as waiting:
        xml.write_declaration()
        with xml.element(_tag("TEI"), nsmap=_NAMES):
            xml.write(_header(title), "\n", pretty_print=True)
            with xml.element(_tag("facsimile")):
                for number, page in enumerate(chain([first], remaining), start=1):
                    xml.write(_surface(page, number), pretty_print=True)
                    waiting.write(etree.tostring(_text(page, number, style), encoding="utf-8") + b"\n")
            waiting.seek(0)
            with xml.element(_tag("text"), {"style": "writing-mode: vertical-rl"}), xml.element(_tag("body")):
                for line in waiting:
                    xml.write("\n", etree.fromstring(line))


def _header(title: str) -> Any:
    header = etree.Element(_tag("teiHeader"), nsmap=_NAMES)
    about = _add(header, "fileDesc")
    _add(_add(about, "titleStmt"), "title").text = xml_text(title)
    _add(_add(about, "publicationStmt"), "p").text = "Read by a machine, and looked at by nobody."
    _add(_add(about, "sourceDesc"), "p").text = "Scans, named at each surface."
    name, version = program().split()
    applications = _add(_add(header, "encodingDesc"), "appInfo")
    application = _add(applications, "application", ident=name, version=version)
    _add(application, "label").text = name
    return header


def _surface(page: ReadPage, number: int) -> Any:
    surface = etree.Element(_tag("surface"), nsmap=_NAMES)
    surface.set(_ID, f"page{number}")
    surface.attrib.update(_corners(Box(0, 0, page.width, page.height)))
    size = {"width": f"{page.width}px", "height": f"{page.height}px"}
    _add(surface, "graphic", url=quote(image_name(page)), **size)
    for place, column in enumerate(page.columns, start=1):
        kind = "line" if column[0].role in IN_TEXT else column[0].role.value
        _add(surface, "zone", type=kind, **_corners(box_around(column))).set(_ID, f"line{number}_{place}")
    return surface


def _text(page: ReadPage, number: int, style: Style) -> Any:
    text = etree.Element(_tag("ab"), {_LANGUAGE: "ja"}, nsmap=_NAMES)
    hand = _Hand(style.unsure_below, readings(page))
    _add(text, "pb", facs=f"#page{number}", n=xml_text(page.name))
    leaf = 0
    for block in blocks(page):
        if block.leaf > leaf:
            leaf = block.leaf
            _add(text, "pb", facs=f"#page{number}", n=xml_text(f"{page.name}, leaf {leaf + 1}"))
        _add_block(text, block, number, hand)
    return text


@dataclass(frozen=True, slots=True)
class _Hand:
    """This is what characters are written with: those of less confidence are unclear, some have furigana."""

    unsure_below: float | None
    furigana: Mapping[Character, Sequence[Character]]

    def write(self, parent: Any, characters: Sequence[Character]) -> None:
        for character in characters:
            if character not in self.furigana:
                self._write_one(parent, character)
                continue
            ruby = _add(parent, "ruby")
            self._write_one(_add(ruby, "rb"), character)
            _add(ruby, "rt").text = "".join(one.label for one in self.furigana[character])

    def _write_one(self, parent: Any, character: Character) -> None:
        if self.unsure_below is not None and character.confidence < self.unsure_below:
            _add(parent, "unclear", cert=f"{character.confidence:.4f}").text = character.label
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + character.label
        else:
            parent.text = (parent.text or "") + character.label


def _add_block(text: Any, block: Block, number: int, hand: _Hand) -> None:
    for place, column in block.columns:
        facs = f"#line{number}_{place}"
        if block.role is Role.MARGIN:
            hand.write(_add(text, "fw", type="margin", facs=facs), column)
        elif block.role is Role.MAIN:
            _add(text, "lb", facs=facs, n=str(place))
            for stretch in stretches(column):
                if len(stretch) == 1:
                    hand.write(text, stretch[0])
                    continue
                note = _add(text, "note", type="warichu", place="inline")
                for half in stretch:
                    hand.write(_add(note, "seg"), half)


def _corners(box: Box) -> dict[str, str]:
    right, lower = box.x + box.width, box.y + box.height
    return {"ulx": str(box.x), "uly": str(box.y), "lrx": str(right), "lry": str(lower)}


def _tag(kind: str) -> str:
    return f"{{{NAMESPACE}}}{kind}"


def _add(parent: Any, kind: str, **values: str) -> Any:
    return etree.SubElement(parent, _tag(kind), values)


FORMAT = Format(extents=("book", "page", "all"), suffix=".xml", name="pages", write=write)
