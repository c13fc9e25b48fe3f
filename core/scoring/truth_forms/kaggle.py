"""This module reads `train.csv` of Kaggle's contest "Kuzushiji Recognition" (2019): a row a page."""

from __future__ import annotations

from pathlib import Path

from fumikura.core.errors import TruthError
from fumikura.core.page import Truth
from fumikura.core.scoring.truth_forms.tables import labelled_box, page_name, rows

COLUMNS = frozenset({"image_id", "labels"})


def read(path: Path) -> dict[str, Truth]:
    """Read truth by page: `labels` repeats label, x, y, width, height, and is empty for a blank page.

    Raises:
        TruthError: names the line.
    """
    pages: dict[str, Truth] = {}
    for where, row in rows(path):
        values = row["labels"].split()
        if len(values) % 5:
            raise TruthError(
                f"{where}: {len(values)} values, not five for each character (label x y width height);"
                " name the contest's train.csv"
            )
        fives = (tuple(values[start : start + 5]) for start in range(0, len(values), 5))
        boxes = [labelled_box(five, where) for five in fives]
        pages[page_name(row["image_id"])] = Truth(boxes=tuple(box for box in boxes if box.label))
    return pages
