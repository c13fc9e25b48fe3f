"""This module writes COCO's JSON for object detection (cocodataset.org/#format-data), a category a label.

A category's id is the label's code point, so that files of several books agree. Beside what COCO asks for,
an annotation has `score` as its results do, and `position` and `column_number` from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import IO, Any

from fumikura.core.export.formats import Format, Style
from fumikura.core.export.page_names import distinctly_named
from fumikura.core.read_page import ReadPage

#: An encoder that is kept: `json.dumps` would make one for each annotation.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write(pages: Iterable[ReadPage], file: IO[bytes], style: Style) -> None:  # noqa: ARG001
    """Write annotations as they come, which are most of it, and images and categories behind them."""
    images: list[dict[str, Any]] = []
    labels: set[str] = set()
    n_annotations = 0
    file.write(b'{"info":{"description":"characters that fumikura read"},\n"annotations":[')
    for page in distinctly_named(pages):
        name = PurePosixPath(page.member).name or page.name
        images.append({"id": page.page_id, "file_name": name, "width": page.width, "height": page.height})
        for annotation in _annotations(page, n_annotations):
            file.write(b",\n" if n_annotations else b"\n")
            file.write(_to_json(annotation).encode())
            n_annotations += 1
        labels.update(character.label for character in page.characters)
    categories = [{"id": ord(label), "name": label} for label in sorted(labels)]
    file.write(f'],\n"images":{_to_json(images)},\n"categories":{_to_json(categories)}}}\n'.encode())


def _annotations(page: ReadPage, n_before: int) -> Iterable[dict[str, Any]]:
    found = zip(page.positions, page.characters, strict=True)
    for number, (position, character) in enumerate(found, start=n_before + 1):
        box = character.box
        yield {
            "id": number,
            "image_id": page.page_id,
            "category_id": ord(character.label),
            "bbox": [box.x, box.y, box.width, box.height],
            "area": box.width * box.height,
            "iscrowd": 0,
            "score": round(character.confidence, 4),
            "position": position,
            "column_number": character.column_number,
        }


FORMAT = Format(extents=("all", "book", "page"), suffix=".json", name="annotations", write=write)
