"""This module draws pictures without characters: what a reader of pages must learn to leave alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fumikura.core.training.drawing.brush import Brush, Point, curve, wander


def draw_picture(
    brush: Brush, box: tuple[float, float, float, float], *, line: float, rng: np.random.Generator
) -> None:
    """Draw a picture without characters inside (left, top, right, bottom); `line` is its stroke width."""
    motifs: list[Callable[..., None]] = [
        _folds,
        _grasses,
        _clouds,
        _vessels,
        _hatching,
        _rocks,
        _branches,
        _cloth,
    ]
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    if side < 20:
        return
    for _ in range(int(rng.integers(5, 18))):
        x, y = float(rng.uniform(left, right)), float(rng.uniform(top, bottom))
        reach = float(rng.uniform(0.15, 0.8) * side)
        x = float(np.clip(x, left + reach / 2, right - reach / 2))
        y = float(np.clip(y, top + reach / 2, bottom - reach / 2))
        motifs[int(rng.integers(len(motifs)))](brush, (x, y), reach, line, rng)


def _taper(n_points: int, line: float, rng: np.random.Generator) -> NDArray[np.float64]:
    swell = np.sin(np.linspace(0.15, np.pi - 0.1, n_points))
    widths: NDArray[np.float64] = line * float(rng.uniform(0.5, 1.8)) * (0.35 + 0.65 * swell)
    return widths


def _folds(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    """Draw the folds of a robe: a family of paths side by side."""
    heading, bend = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.1, 0.5))
    for number in range(int(rng.integers(3, 9))):
        shift = (number - 4) * reach / 9
        start = (centre[0] + shift * np.sin(heading), centre[1] - shift * np.cos(heading))
        turned = heading + float(rng.normal(0, 0.2))
        path = wander(start, length=reach * float(rng.uniform(0.4, 1)), heading=turned, bend=bend, rng=rng)
        brush.stroke(path, _taper(len(path), line, rng))


def _grasses(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(6, 22))):
        foot = (
            centre[0] + float(rng.normal(0, 0.25)) * reach,
            centre[1] + float(rng.normal(0, 0.04)) * reach,
        )
        tip = (foot[0] + float(rng.normal(0, 0.2)) * reach, foot[1] - float(rng.uniform(0.2, 0.6)) * reach)
        blade = curve(foot, tip, bulge=(float(rng.normal(0, 0.08)) * reach, 0))
        brush.stroke(blade, _taper(len(blade), line, rng))


def _clouds(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 6))):
        x, y = centre[0] + float(rng.normal(0, 0.3)) * reach, centre[1] + float(rng.normal(0, 0.12)) * reach
        angles = np.linspace(0, float(rng.uniform(3, 9)), 30) + float(rng.uniform(0, 6))
        radii = np.linspace(float(rng.uniform(0.02, 0.1)), float(rng.uniform(0.1, 0.25)), 30) * reach
        spiral = np.stack([x + radii * np.cos(angles) * 1.5, y + radii * np.sin(angles)], 1)
        brush.stroke(spiral, _taper(30, line, rng))


def _vessels(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    """Draw bowls and trays: ellipses, boxes, a box within a box."""
    angles = np.linspace(0, 2 * np.pi, 40 if rng.random() < 0.6 else 5) + np.pi / 4 * float(
        rng.random() < 0.5
    )
    flat, tilt = float(rng.uniform(0.3, 1)), float(rng.normal(0, 0.05))
    for part in (1.0, 0.85)[: int(rng.integers(1, 3))]:
        x, y = np.cos(angles) * part * reach / 2, np.sin(angles) * part * flat * reach / 2
        outline = np.stack([centre[0] + x - tilt * y, centre[1] + y + tilt * x], 1)
        brush.stroke(outline, np.full(len(outline), line * float(rng.uniform(0.5, 1.4))))


def _hatching(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    heading, step = float(rng.uniform(0, np.pi)), float(rng.uniform(2.5, 6)) * line
    along = np.array([np.cos(heading), np.sin(heading)])
    across = np.array([-along[1], along[0]])
    for number in range(min(30, int(reach / step))):
        middle = np.array(centre) + across * (number * step - reach / 2)
        half = along * reach * float(rng.uniform(0.2, 0.45))
        brush.stroke(np.stack([middle - half, middle + half]), np.full(2, line * 0.5))


def _rocks(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    """Draw a lump, in outline, washed grey or solid black like hair."""
    angles = np.linspace(0, 2 * np.pi, 28)
    bumps = sum(
        float(rng.normal(0, 0.16 / k)) * np.sin(k * angles + float(rng.uniform(0, 6))) for k in (1, 2, 3, 5)
    )
    radii = reach * 0.35 * (1 + bumps)
    outline = np.stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles) * 0.7], 1)
    kind = rng.random()
    if kind < 0.55:
        brush.area(outline, float(rng.uniform(0.1, 0.4)) if kind < 0.35 else 1.0)
    brush.stroke(outline, _taper(len(outline), line, rng))


def _branches(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    trunk = wander(centre, length=reach, heading=float(rng.uniform(0, 6.3)), bend=0.3, rng=rng)
    brush.stroke(trunk, np.linspace(2.2, 0.6, len(trunk)) * line)
    for _ in range(int(rng.integers(4, 14))):
        foot = trunk[int(rng.integers(len(trunk)))]
        twig = wander(
            (float(foot[0]), float(foot[1])),
            length=reach * float(rng.uniform(0.1, 0.4)),
            heading=float(rng.uniform(0, 6.3)),
            bend=0.5,
            rng=rng,
        )
        brush.stroke(twig, np.linspace(1.2, 0.4, len(twig)) * line)
        x, y = twig[-1]
        if rng.random() < 0.6:
            leaf = curve(
                (float(x), float(y)), (float(x) + reach * 0.05, float(y) + reach * 0.03), bulge=(0, 2 * line)
            )
            brush.stroke(leaf, np.full(len(leaf), 2 * line))


def _cloth(brush: Brush, centre: Point, reach: float, line: float, rng: np.random.Generator) -> None:
    """Draw a woven pattern: one small mark again and again, the likeliest thing to be taken for writing."""
    reach = min(reach, 60 * line)
    step = max(5 * line, reach / float(rng.uniform(4, 9)))
    mark = wander(
        (0.0, 0.0),
        length=step * float(rng.uniform(0.5, 1.4)),
        heading=float(rng.uniform(0, 6)),
        bend=1.2,
        rng=rng,
    )
    crossing = mark[:, ::-1] * (1, -1) if rng.random() < 0.5 else mark[:0]
    for y in np.arange(-reach / 2, reach / 2, step):
        for x in np.arange(-reach / 2, reach / 2, step):
            if np.hypot(x, y) < reach / 2:
                place = (centre[0] + x + (y / step % 2) * step / 2, centre[1] + y)
                for part in (mark, crossing):
                    brush.stroke(part + place, np.full(len(part), line * 0.8))
