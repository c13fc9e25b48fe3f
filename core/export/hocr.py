"""This module writes hOCR 1.2 (kba.github.io/hocr-spec/1.2).

An ocr_carea is the text of a leaf, its furigana or its margin; an ocr_line is a column, an ocrx_cinfo a
character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

from lxml import etree

from fumikura.core.export.blocks import blocks
from fumikura.core.export.columns import box_around, image_name, mean_confidence, program, xml_text
from fumikura.core.export.formats import Format, Style
from fumikura.core.page import Box, Character
from fumikura.core.read_page import ReadPage

NAMESPACE = "http://www.w3.org/1999/xhtml"
_CAPABILITIES = "ocr_page ocr_carea ocr_line ocrx_word ocrx_cinfo"
_STYLE = ".ocr_carea { writing-mode: vertical-rl } .ocr_line { display: block }"


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:
    """Write pages as XHTML, one at a time. Confidences are percentages, as hOCR has them."""
    with etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        xml.write_doctype("<!DOCTYPE html>")
        with xml.element(f"{{{NAMESPACE}}}html", {"lang": "ja"}, nsmap={None: NAMESPACE}):
            xml.write(_head(style), "\n")
            with xml.element(f"{{{NAMESPACE}}}body"):
                for number, page in enumerate(pages):
                    xml.write("\n", _page(page, number))


def _head(style: Style) -> Any:
    head = etree.Element(f"{{{NAMESPACE}}}head", nsmap={None: NAMESPACE})
    _add(head, "title").text = "hOCR"
    _add(head, "meta", name="ocr-system", content=program())
    _add(head, "meta", name="ocr-capabilities", content=_CAPABILITIES)
    _add(head, "meta", name="ocr-langs", content="ja")
    _add(head, "meta", name="ocr-scripts", content="Jpan")
    if style.extent == "page":
        _add(head, "meta", name="ocr-number-of-pages", content="1")
    _add(head, "style").text = _STYLE
    return head


def _page(page: ReadPage, number: int) -> Any:
    name = image_name(page).replace("\\", "\\\\").replace('"', '\\"')
    title = f'image "{name}"; bbox 0 0 {page.width} {page.height}; ppageno {number}'
    element = etree.Element(f"{{{NAMESPACE}}}div", nsmap={None: NAMESPACE})
    element.attrib.update({"class": "ocr_page", "id": f"page_{number + 1}", "title": title})
    for block in blocks(page):
        values = {"class": "ocr_carea", "title": _bbox(box_around(block.characters))}
        area = _add(element, "div", **values, id=f"text_{number + 1}_{block.number}")
        for place, column in block.columns:
            _add_line(area, f"{number + 1}_{place}", column)
    return element


def _add_line(area: Any, mark: str, column: Sequence[Character]) -> None:
    bbox = _bbox(box_around(column))
    line = _add(area, "span", **{"class": "ocr_line", "id": f"line_{mark}", "title": bbox})
    title = f"{bbox}; x_wconf {100 * mean_confidence(column):.0f}"
    word = _add(line, "span", **{"class": "ocrx_word", "id": f"word_{mark}", "title": title})
    for character in column:
        box, confidence = _bbox(character.box), 100 * character.confidence
        title = f"x_bboxes {box.removeprefix('bbox ')}; x_confs {confidence:.2f}"
        _add(word, "span", **{"class": "ocrx_cinfo", "title": title}).text = xml_text(character.label)


def _bbox(box: Box) -> str:
    sides = (box.x, box.y, box.x + box.width, box.y + box.height)
    return " ".join(("bbox", *map(str, sides)))


def _add(parent: Any, kind: str, **values: str) -> Any:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{kind}", values)


FORMAT = Format(extents=("page", "book", "all"), suffix=".hocr", write=write)
