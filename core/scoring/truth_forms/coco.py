"""This module reads COCO's JSON for object detection (cocodataset.org/#format-data).

A category's name is a character, あ or U+3042. Where all annotations of an image have a `position`, as those
that fumikura exports, it is their reading order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fumikura.core.errors import TruthError
from fumikura.core.page import LabelledBox, Truth
from fumikura.core.scoring.truth_forms.tables import checked_box, checked_label, page_name

KEYS = frozenset({"images", "annotations", "categories"})
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")


def load(path: Path) -> Mapping[str, Any] | None:
    """Load a JSON file; None if it is not in COCO's form.

    Raises:
        TruthError: it is no JSON.
    """
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise TruthError(f"{path} is no JSON ({error}); correct it, or leave it out") from error
    return data if isinstance(data, dict) and data.keys() >= KEYS else None


def read(path: Path) -> dict[str, Truth]:
    """Read truth by page; an image without annotations is a blank page.

    Raises:
        TruthError: names the annotation.
    """
    data = load(path)
    if data is None:
        raise TruthError(f"{path} has not COCO's images, annotations and categories; name another file")
    try:
        names = {image["id"]: page_name(image["file_name"]) for image in data["images"]}
        labels = {
            one["id"]: _label(one["name"], f"{path}, category {one['id']}") for one in data["categories"]
        }
        found: dict[str, list[tuple[int | None, LabelledBox]]] = {name: [] for name in names.values()}
        for one in data["annotations"]:
            where = f"{path}, annotation {one['id']}"
            x, y, width, height = map(float, one["bbox"])
            box = LabelledBox(checked_box(x, y, width, height, where), labels[one["category_id"]])
            if box.label:
                found[names[one["image_id"]]].append((one.get("position"), box))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TruthError(f"{path} is not in COCO's form ({error!r}); correct it") from error
    if len(found) < len(names):
        raise TruthError(f"{path} has two images of one name; put them into two files")
    return {name: _in_order(boxes) for name, boxes in found.items()}


def _label(name: str, where: str) -> str:
    code_point = _CODE_POINT.fullmatch(name)
    return checked_label(chr(int(code_point[1], 16)) if code_point else name, where)


def _in_order(boxes: list[tuple[int | None, LabelledBox]]) -> Truth:
    positions = [position for position, _ in boxes if position is not None]
    is_ordered = bool(boxes) and len(positions) == len(boxes)
    if is_ordered:
        boxes = sorted(boxes, key=lambda entry: entry[0] or 0)
    return Truth(boxes=tuple(box for _, box in boxes), is_ordered=is_ordered)
