"""XML that was written is looked at as a tree."""

from __future__ import annotations

from pathlib import Path

from lxml import etree


def parsed(path: Path) -> etree._Element:
    return etree.parse(path).getroot()
