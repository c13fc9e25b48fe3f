"""This module gives formats that speak of lines what they say of a column: its box and its axis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import PurePosixPath

from fumikura.core.page import Box, Character
from fumikura.core.read_page import ReadPage

#: What XML 1.0 forbids, and a file's name may hold all the same.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def box_around(characters: Sequence[Character]) -> Box:
    """Give the smallest box that holds these characters, of which there is at least one."""
    boxes = [character.box for character in characters]
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.width for box in boxes)
    bottom = max(box.y + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


def axis(box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the ends of the line on which a column hangs, (x, y) from top to bottom: its middle."""
    x = box.x + box.width // 2
    return (x, box.y), (x, box.y + box.height)


def mean_confidence(characters: Sequence[Character]) -> float:
    """Give the mean probability of some labels, of which there is at least one."""
    return sum(character.confidence for character in characters) / len(characters)


def image_name(page: ReadPage) -> str:
    """Give the name of the page's image, without its folder."""
    return xml_text(PurePosixPath(page.member).name or page.name)


def xml_text(text: str) -> str:
    """Put U+FFFD for what may not stand in XML, such as control characters in the name of a file."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def program() -> str:
    """Name this program with its version, for a file's notes on how it was made."""
    return " ".join(("fumikura", version("fumikura")))
