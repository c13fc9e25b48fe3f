"""What a page's view, its script and the API know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fumikura.core.page import Box, Character
from fumikura.core.store.connecting import Engine
from fumikura.core.store.corrections import named_boxes
from fumikura.core.store.lookup import PageDetails

#: Of a character, the one that was read included.
_BEST = 5


def page_as_dict(engine: Engine, page: PageDetails) -> dict[str, Any]:
    """Give a page with its characters in reading order; boxes are x, y, width, height."""
    named = named_boxes(engine, page.page_id)
    read = {one.box: one for one in page.as_read or ()}
    return {
        "id": page.page_id,
        "name": page.name,
        "book": page.book,
        "width": page.width,
        "height": page.height,
        "status": page.status,
        "error": page.error,
        "has_mask": page.mask_png is not None,
        "characters": [
            character_as_dict(number, one, named=named, read=read)
            for number, one in enumerate(page.characters)
        ],
    }


def character_as_dict(
    number: int, one: Character, *, named: Mapping[Box, str], read: Mapping[Box, Character]
) -> dict[str, Any]:
    """Give a character; where people named it, with what the weights had read there."""
    box, before = one.box, read.get(one.box, one)
    best = [(before.label, before.confidence), *before.alternatives][:_BEST]
    return {
        "n": number,
        "column": one.column_number,
        "box": [box.x, box.y, box.width, box.height],
        "label": one.label,
        "confidence": round(one.confidence, 4),
        "best": [[label, round(share, 4)] for label, share in best],
        "by_people": box in named,
        "role": one.role,
        "leaf": one.leaf,
    }
