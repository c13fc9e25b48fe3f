"""This module reads CODH's coordinate CSV (doi:10.20676/00000340): a row a character."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fumikura.core.page import LabelledBox, Truth
from fumikura.core.scoring.truth_forms.tables import labelled_box, page_name, rows

COLUMNS = frozenset({"Unicode", "Image", "X", "Y", "Width", "Height"})


def read(path: Path) -> dict[str, Truth]:
    """Read truth by page, its boxes in reading order where each has a Char ID.

    Raises:
        TruthError: names the line.
    """
    pages: dict[str, list[tuple[tuple[str, str], LabelledBox]]] = {}
    for where, row in rows(path):
        boxes = pages.setdefault(page_name(row["Image"]), [])
        values = (row["Unicode"], row["X"], row["Y"], row["Width"], row["Height"])
        box = labelled_box(values, where)
        if box.label:
            boxes.append(((row.get("Block ID", ""), row.get("Char ID", "")), box))
    return {name: _in_order(boxes) for name, boxes in pages.items()}


def _in_order(boxes: Sequence[tuple[tuple[str, str], LabelledBox]]) -> Truth:
    # Rows come in any order; "B0001" and "C0012" have leading zeros. Equal keys keep their order.
    boxes = sorted(boxes, key=lambda entry: entry[0])
    is_ordered = bool(boxes) and all(char_id for (_, char_id), _ in boxes)
    return Truth(boxes=tuple(box for _, box in boxes), is_ordered=is_ordered)
