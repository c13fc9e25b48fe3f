"""This module makes paper, and does to it what time and a scanner do; colours are RGB, float32 to 255."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Pixels = NDArray[np.float32]

#: Tones seen on scans: cream, warm white, grey, tan, and paper brown with smoke.
TONES = ((245, 233, 196), (243, 236, 216), (214, 203, 184), (236, 218, 170), (226, 214, 190), (170, 150, 124))
DARK_GROUND, LIGHT_GROUND = (28, 27, 30), (196, 197, 196)


@dataclass(frozen=True, slots=True)
class Sheet:
    """This says where the page lies in the image, in pixels; the rest is the ground or the next page.

    Attributes:
        gutter: the side at which the book is bound, "left" or "right".
    """

    left: int
    top: int
    right: int
    bottom: int
    gutter: str


def smooth_noise(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> Pixels:
    """Make noise (H, W) of about unit strength whose hills are `cell` pixels wide."""
    height, width = shape
    small = rng.normal(size=(max(2, int(height / cell) + 2), max(2, int(width / cell) + 2))).astype(
        np.float32
    )
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def make_paper(shape: tuple[int, int], tone: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """Make blank paper (H, W, 3): clouds of tone, grain, fibres, and sometimes the lines of its sieve."""
    height, width = shape
    dirt = 0.05 * float(rng.uniform(0.3, 1) ** 3)
    light = 1 + sum(dirt * part * smooth_noise(shape, height * part / 3, rng) for part in (1, 0.5, 0.2, 0.05))
    light += 0.012 * smooth_noise(shape, 2.5, rng)
    if rng.random() < 0.4:
        lines = np.sin(np.arange(height, dtype=np.float32) * 2 * np.pi / float(rng.uniform(5, 9)))
        light += 0.006 * lines[:, None]
    light += _fibres(shape, rng)
    paper: Pixels = light[:, :, None] * np.array(tone, np.float32)
    # Age is yellow: it takes blue first, and more at the edges than in the middle.
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    edge = np.maximum(abs(x), abs(y)) ** 6 * float(rng.uniform(0, 0.22))
    age = np.clip(edge + 0.05 * smooth_noise(shape, height / 5, rng), 0, 1)
    paper *= 1 - age[:, :, None] * np.array([0.3, 0.68, 1.0], np.float32)
    return paper


def _fibres(shape: tuple[int, int], rng: np.random.Generator) -> Pixels:
    seeds = (rng.random(shape, np.float32) < 0.0012).astype(np.float32)
    length = float(rng.uniform(2, 6))
    across = ndimage.uniform_filter1d(seeds, round(length * 3), axis=1)
    down = ndimage.uniform_filter1d(seeds, round(length * 2), axis=0)
    strength = float(rng.uniform(0.05, 0.3)) * (1 if rng.random() < 0.5 else -1)
    fibres: Pixels = strength * (across - 0.6 * down)
    return fibres


def stain(page: Pixels, rng: np.random.Generator) -> None:
    """Put a water stain with a darker rim, or a soft smudge, on the page in place."""
    height = page.shape[0]
    reach = float(rng.uniform(0.03, 0.3)) * height
    window, (top, left) = _window(page, reach, rng)
    v, u = np.mgrid[0 : window.shape[0], 0 : window.shape[1]].astype(np.float32)
    near = 1 - (np.hypot(v + top, u + left) / reach) ** 2 + 0.35 * smooth_noise(v.shape, reach / 3, rng)
    if rng.random() < 0.6:
        inside = np.clip(near * 12, 0, 1)
        rim = np.exp(-((near * 14 - 0.8) ** 2))
        amount = float(rng.uniform(0.04, 0.16)) * inside + float(rng.uniform(0.0, 0.12)) * rim
        taken = np.array([0.45, 0.75, 1.0], np.float32)
    else:
        amount = float(rng.uniform(0.1, 0.4)) * np.clip(near, 0, 1) ** 2
        taken = np.array([0.85, 0.92, 1.0], np.float32)
    window *= 1 - amount[:, :, None] * taken


def _window(page: Pixels, reach: float, rng: np.random.Generator) -> tuple[Pixels, tuple[float, float]]:
    """Give a view of the page around a random spot, and the shift from view to that spot."""
    height, width, _ = page.shape
    y, x = float(rng.uniform(0, height)), float(rng.uniform(0, width))
    top, left = max(0, int(y - 1.6 * reach)), max(0, int(x - 1.6 * reach))
    view = page[top : int(y + 1.6 * reach) + 2, left : int(x + 1.6 * reach) + 2]
    return view, (top - y, left - x)


def worm_hole(page: Pixels, tone: tuple[int, int, int], rng: np.random.Generator) -> None:
    """Eat a worm's path through the page in place, showing the shaded leaf below it."""
    reach = float(rng.uniform(0.004, 0.03)) * page.shape[0]
    window, (top, left) = _window(page, reach, rng)
    v, u = np.mgrid[0 : window.shape[0], 0 : window.shape[1]].astype(np.float32)
    v, u = v + top, u + left
    long = float(rng.uniform(1, 4))
    near = 1 - np.hypot(v + 0.4 * reach * np.sin(2 * u / reach), u * long) / reach
    hole = np.clip((near + 0.4 * smooth_noise(v.shape, max(2.0, reach / 4), rng)) * reach, 0, 1)[:, :, None]
    rim = np.roll(hole, (1, 1), (0, 1))
    window *= 1 - 0.35 * np.clip(rim - hole, 0, 1)
    window += hole * (0.8 * np.array(tone, np.float32) - window)


def scan(page: Pixels, sheet: Sheet, *, next_tone: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """Scan a page: ground, the next page's strip, gutter and edge shadows."""
    height, width, _ = page.shape
    flip = sheet.gutter == "right"
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = 1.5 * smooth_noise((height, 1), 90, rng)
    from_gutter = (sheet.right - x if flip else x - sheet.left) + wave
    from_fore_edge = (x - sheet.left if flip else sheet.right - x) + wave
    depth = float(rng.uniform(0.012, 0.05)) * width
    shade = 1 - float(rng.uniform(0.15, 0.6)) * np.exp(-np.abs(from_gutter) / depth)
    shade *= 1 - 0.25 * np.exp(-np.maximum(from_fore_edge, 0) / 4)
    clouds = 1 + 0.02 * smooth_noise((height, width), 30, rng)
    next_page = np.array(next_tone, np.float32) * clouds[:, :, None]
    image: Pixels = np.where((from_gutter < 0)[:, :, None], next_page, page) * shade[:, :, None]
    _ground(image, (from_fore_edge, y, sheet), rng)
    return image


def _ground(image: Pixels, place: tuple[Pixels, Pixels, Sheet], rng: np.random.Generator) -> None:
    """Draw the scanner's ground around the book, and the edges of the leaves below, in place."""
    from_fore_edge, y, sheet = place
    tone = DARK_GROUND if rng.random() < 0.75 else LIGHT_GROUND
    leaves = float(rng.uniform(0, 0.02)) * image.shape[1]
    below = (from_fore_edge < 0) & (from_fore_edge > -leaves)
    stripes = 0.72 + 0.12 * np.sin(from_fore_edge[below] * float(rng.uniform(1, 2.5)))
    image[below] = np.array(TONES[0], np.float32) * stripes[:, None]
    wave = smooth_noise((1, image.shape[1]), 120, rng)
    outside = (from_fore_edge < -leaves) | (y < sheet.top + wave) | (y > sheet.bottom + wave)
    grain = rng.normal(0, 1.5, (int(outside.sum()), 1)).astype(np.float32)
    image[outside] = np.array(tone, np.float32) + grain


def expose(image: Pixels, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what the sensor keeps: a little blur, noise, and its own idea of white."""
    blurred = ndimage.gaussian_filter(image, (float(rng.uniform(0.2, 0.75)),) * 2 + (0,))
    colour = np.array([1, rng.uniform(0.98, 1.01), rng.uniform(0.95, 1.02)], np.float32)
    gain = float(rng.uniform(0.9, 1.06)) * colour
    noise = rng.normal(0, float(rng.uniform(0.5, 2.5)), image.shape[:2]).astype(np.float32)
    exposed: NDArray[np.uint8] = np.clip(blurred * gain + noise[:, :, None], 0, 255).astype(np.uint8)
    return exposed
