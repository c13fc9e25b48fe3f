"""This module draws what is carved around printed text: its frame, rules, and the mark at the fold."""

from __future__ import annotations

import numpy as np

from fumikura.core.training.drawing.brush import Brush, worn_line
from fumikura.core.training.drawing.columns import skewed
from fumikura.core.training.drawing.style import Area, PageStyle


def draw_frame(brush: Brush, style: PageStyle, rng: np.random.Generator) -> None:
    """Draw lines around printed text, rules between its columns, the fish tail at the fold."""
    layout = style.layout
    left, top, right, bottom = _union(layout.area, style.picture)
    pad = 0.35 * layout.size
    left, top, right, bottom = left - pad, top - pad, right + pad, bottom + pad
    thick = max(1.5, style.height * float(rng.uniform(0.001, 0.004)))
    for number in range(style.frame_lines):
        out, width = number * 2.6 * thick, thick if number == style.frame_lines - 1 else 0.5 * thick
        xs, ys = (left - out, right + out), (top - out, bottom + out)
        corners = [(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])]
        places = [skewed(corner, layout) for corner in corners]
        for start, end in zip(places, places[1:] + places[:1], strict=True):
            worn_line(brush, start, end, width=width, rng=rng)
    if style.has_rules:
        x = layout.area[2] - layout.size * 0.6 - layout.pitch * layout.size / 2
        while x > layout.area[0]:
            ends = skewed((x, layout.area[1] - pad), layout), skewed((x, layout.area[3] + pad), layout)
            worn_line(brush, *ends, width=max(0.7, 0.3 * thick), rng=rng)
            x -= layout.pitch * layout.size
    if style.has_fold_title:
        x = fold_x(style)
        tail = np.array([(-9, 0), (9, 0), (9, 14), (0, 8), (-9, 14)]) * style.height / 1280
        brush.area(tail + np.array([x, top + 0.2 * (bottom - top)]), 0.9)


def fold_x(style: PageStyle) -> float:
    """Return x of the fold, at the fore edge: leaves were printed on one side and folded there."""
    return style.sheet.left + 1.0 if style.sheet.gutter == "right" else style.sheet.right - 1.0


def _union(area: Area, picture_area: Area | None) -> Area:
    other = picture_area or area
    return min(area[0], other[0]), min(area[1], other[1]), max(area[2], other[2]), max(area[3], other[3])
