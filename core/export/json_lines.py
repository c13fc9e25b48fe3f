"""This module writes a JSON object a line for each page, with all that is known of its reading."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

from fumikura.core.export.formats import Format, Style
from fumikura.core.page import Character
from fumikura.core.read_page import ReadPage, marked_text

#: An encoder that is kept: `json.dumps` would make one for each page.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write pages in UTF-8, a line each. Boxes are [x, y, width, height] in pixels of the page."""
    for page in pages:
        file.write(_to_json(page_object(page)).encode() + b"\n")


def page_object(page: ReadPage) -> dict[str, Any]:
    """Make the object of a page; columns and positions count from 0, as in `query --json`."""
    return {
        "page": page.name,
        "book": page.book,
        "digest": page.digest,
        "archive": page.archive,
        "member": page.member,
        "label": page.label,
        "canvas": page.canvas,
        "width": page.width,
        "height": page.height,
        "recipe": page.recipe_digest,
        "finished_at": page.finished_at.isoformat(),
        "text": "\n".join(marked_text(column) for column in page.text_columns),
        "characters": [
            _character(position, one) for position, one in zip(page.positions, page.characters, strict=True)
        ],
    }


def _character(position: int, character: Character) -> dict[str, Any]:
    box = character.box
    return {
        "position": position,
        "column_number": character.column_number,
        "leaf": character.leaf,
        "role": character.role.value,
        "base": character.base,
        "box": [box.x, box.y, box.width, box.height],
        "label": character.label,
        "confidence": round(character.confidence, 4),
        "alternatives": character.alternatives,
    }


FORMAT = Format(extents=("all", "book", "page"), suffix=".jsonl", write=write, has_alternatives=True)
