"""What the stages hand on, as values for the tables' columns, and back."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from fumikura.core.page import Box, Character, LabelledBox, Scores, Truth
from fumikura.core.store.bulk import to_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def mask_to_png(mask: NDArray[np.bool_]) -> bytes:
    """A mask (H, W) as a PNG of one bit a pixel."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def png_to_mask(png: bytes) -> NDArray[np.bool_]:
    """The mask (H, W) that `mask_to_png` wrote."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, dtype=np.bool_)


def character_rows(reading_id: int, characters: Sequence[Character]) -> list[tuple[Any, ...]]:
    """Rows for `insert_rows`, in the order of the columns of the table `character`; positions from 0."""
    return [
        (
            reading_id,
            position,
            character.column_number,
            character.box.x,
            character.box.y,
            character.box.width,
            character.box.height,
            character.label,
            character.confidence,
            # Four decimals: a fifth says nothing, and there are hundreds of these a page.
            to_json([[label, round(share, 4)] for label, share in character.alternatives]),
            following.label if following is not None else None,
        )
        for position, (character, following) in enumerate(zip_longest(characters, characters[1:]))
    ]


def row_to_character(row: Any) -> Character:
    """The character in a row with all columns of the table `character`."""
    return Character(
        box=Box(row.x, row.y, row.width, row.height),
        label=row.label,
        confidence=row.confidence,
        alternatives=tuple((label, share) for label, share in row.alternatives),
        column_number=row.column_number,
    )


def truth_row(truth: Truth) -> dict[str, Any]:
    """Columns of the table `truth`, but for the page."""
    return {
        "digest": truth_digest(truth),
        "is_partial": truth.is_partial,
        "boxes": _box_rows(truth),
        "mask": truth.mask_png,
    }


def truth_digest(truth: Truth) -> str:
    """SHA-256 of all that a truth says: under one digest, a reading's scores stay as they are."""
    digest = hashlib.sha256(json.dumps([_box_rows(truth), truth.is_partial]).encode())
    digest.update(truth.mask_png or b"")
    return digest.hexdigest()


def _box_rows(truth: Truth) -> list[list[Any]] | None:
    if truth.boxes is None:
        return None
    return [[one.box.x, one.box.y, one.box.width, one.box.height, one.label] for one in truth.boxes]


def row_to_truth(row: Any) -> Truth:
    """The truth in the columns `boxes`, `mask` and `is_partial`."""
    boxes = None
    if row.boxes is not None:
        boxes = tuple(LabelledBox(Box(*corner_and_size), label) for *corner_and_size, label in row.boxes)
    return Truth(boxes=boxes, mask_png=row.mask, is_partial=row.is_partial)


def row_to_scores(row: Any) -> Scores:
    """The counts in a row with the columns of the table `score`."""
    return Scores(**{count.name: getattr(row, count.name) for count in fields(Scores)})


def storable(text: str) -> str:
    """Text that every database takes: no NUL, and no halves of file names that are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
