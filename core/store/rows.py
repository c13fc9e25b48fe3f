"""Turn what the stages hand on into rows of the tables, and back."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from fumikura.core.page import Box, Character, LabelledBox, Role, Scores, Truth
from fumikura.core.store.bulk import to_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def mask_to_png(mask: NDArray[np.bool_]) -> bytes:
    """Write a mask (H, W) as a PNG of one bit a pixel."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def png_to_mask(png: bytes) -> NDArray[np.bool_]:
    """Read the mask (H, W) that `mask_to_png` wrote."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image, dtype=np.bool_)


def character_rows(reading_id: int, characters: Sequence[Character]) -> list[tuple[Any, ...]]:
    """Make rows for `insert_rows`, in the order of the columns of `character`; positions count from 0."""
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
            character.leaf,
            character.role.value,
            character.base,
        )
        for position, (character, following) in enumerate(zip_longest(characters, characters[1:]))
    ]


def row_to_character(row: Any) -> Character:
    """Make the character of a row with all columns of the table `character`."""
    return Character(
        box=Box(row.x, row.y, row.width, row.height),
        label=row.label,
        confidence=row.confidence,
        alternatives=tuple((label, share) for label, share in row.alternatives),
        column_number=row.column_number,
        leaf=row.leaf,
        role=Role(row.role),
        base=row.base,
    )


def truth_row(truth: Truth) -> dict[str, Any]:
    """Make the columns of the table `truth`, all but the page."""
    return {
        "digest": truth_digest(truth),
        "is_partial": truth.is_partial,
        "boxes": _box_rows(truth.boxes),
        "mask": truth.mask_png,
        "text": None if truth.text is None else storable(truth.text),
        "lines": _box_rows(truth.lines),
    }


def truth_digest(truth: Truth) -> str:
    """Compute the SHA-256 of all that a truth says; while it is the same, scores stay valid."""
    digest = hashlib.sha256(json.dumps([_box_rows(truth.boxes), truth.is_partial]).encode())
    digest.update(truth.mask_png or b"")
    # A truth of boxes and mask alone has the digest that it had before there were texts and lines.
    if truth.text is not None or truth.lines is not None:
        digest.update(json.dumps([truth.text, _box_rows(truth.lines)]).encode())
    return digest.hexdigest()


def _box_rows(boxes: Sequence[LabelledBox] | None) -> list[list[Any]] | None:
    if boxes is None:
        return None
    return [[one.box.x, one.box.y, one.box.width, one.box.height, storable(one.label)] for one in boxes]


def row_to_truth(row: Any) -> Truth:
    """Make the truth of the columns `boxes`, `mask`, `is_partial`, `text` and `lines`."""
    return Truth(
        boxes=_boxes(row.boxes),
        mask_png=row.mask,
        is_partial=row.is_partial,
        text=row.text,
        lines=_boxes(row.lines),
    )


def _boxes(rows: Sequence[Sequence[Any]] | None) -> tuple[LabelledBox, ...] | None:
    if rows is None:
        return None
    return tuple(LabelledBox(Box(*corner_and_size), label) for *corner_and_size, label in rows)


def row_to_scores(row: Any) -> Scores:
    """Make the counts of a row with the columns of the table `score`."""
    return Scores(**{count.name: getattr(row, count.name) for count in fields(Scores)})


def storable(text: str) -> str:
    """Make a text that every database takes: without NUL, and without what is no UTF-8 in a file's name."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
