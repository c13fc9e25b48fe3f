"""This module draws what a brush or a carving knife leaves beside characters: links, frames, pictures.

Everything is drawn on one canvas of twice the page's size, which is halved at
the end: that is the smoothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FINER = 2

Point = tuple[float, float]


class Brush:
    """A brush draws on a canvas in page coordinates, (x, y) from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("L", (width * FINER, height * FINER))
        self._draw = ImageDraw.Draw(self._image)

    def stroke(self, points: NDArray[np.float64], widths: NDArray[np.float64], ink: float = 1.0) -> None:
        """Draw a line through (N, 2) points, as wide at each as (N,) widths say, in page pixels."""
        fine = points * FINER
        for start, end, width in zip(fine[:-1], fine[1:], widths[1:] * FINER, strict=True):
            self._draw.line((*start, *end), fill=round(255 * ink), width=max(1, round(width)))
            if width > 3:
                x, y = end
                radius = width / 2 - 0.5
                self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(255 * ink))

    def area(self, points: NDArray[np.float64], ink: float) -> None:
        """Fill a shape around (N, 2) points."""
        self._draw.polygon([tuple(point) for point in points * FINER], fill=round(255 * ink))

    def ink(self) -> NDArray[np.float32]:
        """Return all that was drawn, (H, W) in [0, 1]."""
        return np.asarray(self._image.reduce(FINER), np.float32) / np.float32(255)


def curve(start: Point, end: Point, *, bulge: Point, n_points: int = 9) -> NDArray[np.float64]:
    """Bend a bow from start to end, pulled towards a shift of its middle."""
    t = np.linspace(0, 1, n_points)[:, None]
    a, b = np.array(start, float), np.array(end, float)
    middle = (a + b) / 2 + np.array(bulge, float)
    bow: NDArray[np.float64] = (1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t**2 * b
    return bow


def link(brush: Brush, start: Point, end: Point, *, width: float, rng: np.random.Generator) -> None:
    """Draw the thin trace of a brush that hardly left the paper between two characters."""
    reach = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    bulge = float(rng.normal(0.1, 0.25)) * reach, float(rng.uniform(0, 0.2)) * reach
    points = curve(start, end, bulge=bulge)
    thin = 0.35 + 0.65 * np.abs(np.linspace(-1, 1, len(points)))
    brush.stroke(points, np.maximum(0.5, width * thin))


def worn_line(brush: Brush, start: Point, end: Point, *, width: float, rng: np.random.Generator) -> None:
    """Draw a carved line: nearly straight, uneven, broken here and there."""
    reach = np.hypot(end[0] - start[0], end[1] - start[1])
    n_points = max(3, int(reach / 14))
    t = np.linspace(0, 1, n_points)[:, None]
    points = np.array(start) * (1 - t) + np.array(end) * t + rng.normal(0, 0.25, (n_points, 2))
    widths = width * np.clip(rng.normal(1, 0.18, n_points), 0.4, 1.6)
    gap = int(rng.integers(n_points)) if rng.random() < 0.5 else n_points
    after = gap + int(rng.integers(1, 3))
    brush.stroke(points[:gap], widths[:gap])
    brush.stroke(points[after:], widths[after:])


def wander(
    start: Point, *, length: float, heading: float, bend: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Make a smooth path that turns slowly and at random."""
    n_points = 24
    turns = np.cumsum(rng.normal(0, bend / 5, n_points)) + rng.normal(0, bend / 12)
    angles = heading + np.cumsum(turns) / 3
    steps = np.stack([np.cos(angles), np.sin(angles)], 1) * length / n_points
    path: NDArray[np.float64] = np.array(start) + np.cumsum(steps, 0)
    return path
