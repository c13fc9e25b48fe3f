"""This module compares what was read on photographs with layouts that people drew: lines of text, material.

Layouts are Pascal VOC XML as the National Diet Library publishes it (github.com/ndl-lab/layout-dataset).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fumikura.core.archives.names import one_form
from fumikura.core.errors import TruthError
from fumikura.core.page import Box
from fumikura.core.scoring.metrics import ratio
from fumikura.core.scoring.truth_forms import voc

#: A line that is at least so many times as high as wide is a column.
_COLUMN = 1.5
#: A character covers a column so far above and below itself, in widths of the column's box.
_REACH = 0.25
#: Pixels by which people's boxes may be off.
TOLERANCE = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout is what people say of a photograph without reading it.

    Attributes:
        material: boxes of what was photographed; all that lies outside was put beside it.
        lines: boxes of lines of text, furigana and notes among them.
    """

    material: tuple[Box, ...]
    lines: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class LayoutCounts:
    """These counts compare one photograph's characters with its layout; they add up over photographs.

    Attributes:
        n_characters: all that were found.
        n_in_lines: those centred in a line, or at most TOLERANCE pixels beside it.
        n_outside: those centred outside the material.
        height: of all columns together, in pixels.
        covered: the part of it that characters cover.
    """

    n_characters: int
    n_in_lines: int
    n_outside: int
    height: int
    covered: int


def load_layouts(paths: Iterable[Path]) -> dict[str, Layout]:
    """Load the layouts of files, and of the XML files of folders, by page name.

    Raises:
        TruthError: a file is no layout, is damaged, or two files tell one page's.
    """
    layouts: dict[str, Layout] = {}
    for path in paths:
        files = sorted(path.rglob("*.xml")) if path.is_dir() else [path]
        if not files:
            raise TruthError(f"{path} holds no layout; name VOC XML files, or a folder of them")
        for file in files:
            name = one_form(file.stem)
            if name in layouts:
                raise TruthError(
                    f"page {name!r} has two layouts, the second in {file}; leave one of them out"
                )
            boxes = voc.read_boxes(file)
            layouts[name] = Layout(
                tuple(box for kind, box in boxes if kind == voc.MATERIAL),
                tuple(box for kind, box in boxes if kind in voc.LINES),
            )
    return layouts


def count_layout(found: Sequence[Box], layout: Layout) -> LayoutCounts:
    """Count where the boxes of found characters lie."""
    centres = np.array([box.centre for box in found]).reshape(-1, 1, 2)  # (M, 1, 2) as (y, x)
    in_lines = _holds(layout.lines, centres, TOLERANCE)  # (M, L)
    in_material = _holds(layout.material, centres, 0)
    columns = [
        (line, in_lines[:, number])
        for number, line in enumerate(layout.lines)
        if line.height >= _COLUMN * line.width
    ]
    return LayoutCounts(
        n_characters=len(found),
        n_in_lines=int(in_lines.any(axis=1).sum()),
        n_outside=int((~in_material.any(axis=1)).sum()) if layout.material else 0,
        height=sum(line.height for line, _ in columns),
        covered=sum(
            _covered(line, [box for box, is_in in zip(found, inside, strict=True) if is_in])
            for line, inside in columns
        ),
    )


def _holds(boxes: Sequence[Box], centres: NDArray[np.float64], more: int) -> NDArray[np.bool_]:
    """Tell which boxes, grown by some pixels, hold which centres (M, 1, 2): (M, L)."""
    corners = np.array([(box.y, box.x) for box in boxes]).reshape(-1, 2)
    sizes = np.array([(box.height, box.width) for box in boxes]).reshape(-1, 2)
    is_in: NDArray[np.bool_] = (centres >= corners - more) & (centres < corners + sizes + more)
    return np.asarray(is_in.all(axis=2))


def _covered(line: Box, inside: Sequence[Box]) -> int:
    """Count the pixel rows of a line that its characters cover."""
    rows = np.zeros(line.height, bool)
    reach = round(_REACH * line.width)
    for box in inside:
        top = box.y - line.y - reach
        rows[max(0, top) : max(0, top + box.height + 2 * reach)] = True
    return int(rows.sum())


def layout_figures(counts: Sequence[LayoutCounts]) -> Mapping[str, float | int | None]:
    """Pool counts of photographs into the three figures that docs/evaluation.md explains."""
    total = {item.name: sum(getattr(one, item.name) for one in counts) for item in fields(LayoutCounts)}
    return {
        "pages": len(counts),
        "characters": total["n_characters"],
        "characters_in_lines": ratio(total["n_in_lines"], total["n_characters"]),
        "characters_outside_material": total["n_outside"],
        "columns_covered": ratio(total["covered"], total["height"]),
    }
