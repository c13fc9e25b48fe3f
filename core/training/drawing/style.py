"""This module draws by lot what makes one page look unlike another: format, hand, print, paper and age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fumikura.core.training.drawing.columns import Layout
from fumikura.core.training.drawing.paper import TONES, Sheet

Area = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PageStyle:
    """A style is all that makes one drawn page look unlike another.

    Attributes:
        picture: (left, top, right, bottom) of an ink drawing, or None.
        frame_lines: 0 for a manuscript, 1 or 2 lines around woodblock text.
        darkness: of the ink, in [0, 1].
        mottling: unevenness of the print, in [0, 1].
        bleed: how far the other side shows through, in [0, 1].
    """

    width: int
    height: int
    sheet: Sheet
    layout: Layout
    picture: Area | None
    weight: float
    stretch: float
    hentaigana_share: float
    frame_lines: int
    has_rules: bool
    has_fold_title: bool
    tone: tuple[int, int, int]
    ink: tuple[int, int, int]
    darkness: float
    mottling: float
    bleed: float
    n_stains: int
    n_holes: int
    n_seals: int


def draw_style(rng: np.random.Generator, *, long_side: int = 1280) -> PageStyle:
    """Draw a style by lot, near to what the scans of real books show."""
    height, width = long_side, round(long_side * float(rng.uniform(0.62, 0.76)))
    sheet = _draw_sheet(width, height, rng)
    is_printed = bool(rng.random() < 0.6)
    picture_area, area = _split_area(_text_area(sheet, rng), rng)
    size = long_side * float(np.exp(rng.uniform(np.log(0.024), np.log(0.06))))
    furigana_share = float(rng.uniform(0.4, 1)) if rng.random() < (0.6 if is_printed else 0.15) else 0.0
    layout = Layout(
        area=area,
        size=size,
        pitch=float(rng.uniform(1.05, 1.7)) + (0.3 if furigana_share else 0),
        gap=float(rng.uniform(-0.06, 0.14)),
        wobble=float(rng.uniform(0.3, 1.5)),
        link_share=float(rng.uniform(0.1, 0.9)),
        furigana_share=furigana_share,
        note_share=float(rng.choice([0, 0, 0.01, 0.03])),
        fading=float(rng.uniform(0, 0.25) if is_printed else rng.uniform(0.2, 1)),
        skew=float(rng.normal(0, 0.006)),
    )
    grey = int(rng.integers(8, 60))
    return PageStyle(
        width=width,
        height=height,
        sheet=sheet,
        layout=layout,
        picture=picture_area,
        weight=float(rng.uniform(0.06, 0.13) if is_printed else rng.uniform(0.02, 0.1)),
        stretch=float(rng.uniform(0.8, 1.45)),
        hentaigana_share=float(rng.uniform(0, 0.75)),
        frame_lines=int(rng.integers(1, 3)) if is_printed and rng.random() < 0.85 else 0,
        has_rules=bool(is_printed and rng.random() < 0.2),
        has_fold_title=bool(is_printed and rng.random() < 0.5),
        tone=_draw_tone(rng),
        ink=(grey + int(rng.integers(0, 9)), grey + int(rng.integers(0, 5)), grey),
        darkness=float(rng.uniform(0.78, 1)),
        mottling=float(rng.uniform(0.1, 0.7) if is_printed else rng.uniform(0, 0.3)),
        bleed=float(rng.uniform(0.02, 0.26)) if rng.random() < 0.65 else 0.0,
        n_stains=int(rng.poisson(0.9)),
        n_holes=int(rng.poisson(3)) if rng.random() < 0.3 else 0,
        n_seals=int(rng.integers(1, 8)) if rng.random() < 0.45 else 0,
    )


def _draw_tone(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = TONES[int(rng.integers(len(TONES)))]
    light, warmth = float(rng.uniform(0.88, 1.03)), float(rng.uniform(0.96, 1.04))
    return (
        min(255, round(red * light)),
        min(255, round(green * light)),
        min(255, round(blue * light * warmth)),
    )


def _draw_sheet(width: int, height: int, rng: np.random.Generator) -> Sheet:
    gutter = "left" if rng.random() < 0.5 else "right"
    edge = [float(rng.uniform(-0.02, 0.04)) for _ in range(3)]
    spine, fore = float(rng.uniform(-0.01, 0.06)) * width, edge[0] * width
    left, right = (spine, width - fore) if gutter == "left" else (fore, width - spine)
    return Sheet(round(left), round(edge[1] * height), round(right), round(height * (1 - edge[2])), gutter)


def _text_area(sheet: Sheet, rng: np.random.Generator) -> Area:
    width, height = sheet.right - sheet.left, sheet.bottom - sheet.top
    sides = rng.uniform(0.05, 0.14, 2) * width
    above, below = float(rng.uniform(0.06, 0.22)) * height, float(rng.uniform(0.05, 0.11)) * height
    return sheet.left + sides[0], sheet.top + above, sheet.right - sides[1], sheet.bottom - below


def _split_area(area: Area, rng: np.random.Generator) -> tuple[Area | None, Area]:
    """Give, on some pages, a part of the text's area to a picture."""
    left, top, right, bottom = area
    if rng.random() < 0.72:
        return None, area
    part = float(rng.uniform(0.25, 0.75))
    x, y = left + part * (right - left), top + part * (bottom - top)
    splits: list[tuple[Area, Area]] = [
        ((left, y, right, bottom), (left, top, right, y)),
        ((left, top, right, y), (left, y, right, bottom)),
        ((left, top, x, bottom), (x, top, right, bottom)),
    ]
    return splits[int(rng.integers(len(splits)))]
