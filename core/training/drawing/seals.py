"""This module stamps owners' seals: red, square or round, in relief or cut in, over whatever stands there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fumikura.core.training.drawing.fonts import GlyphFont, draw_glyph
from fumikura.core.training.drawing.paper import Pixels, smooth_noise

REDS = ((196, 44, 36), (214, 66, 52), (176, 40, 44), (226, 96, 84))

#: Words of owners' seals; a font draws those that it has.
SEAL_TEXT = "蔵書之印文庫山人堂氏家珍玩記東京帝國大學圖館松竹梅清閑"


def stamp_seal(page: Pixels, fonts: Sequence[GlyphFont], rng: np.random.Generator) -> None:
    """Stamp a seal at a random place, often half over text, in place."""
    height, width, _ = page.shape
    side = int(rng.uniform(0.03, 0.1) * height)
    shape = (side, int(side * rng.choice([1.0, 1.0, 1.0, 0.6, 0.5])))
    inked = draw_seal(shape, fonts, rng)
    top = int(rng.integers(0, max(1, height - shape[0])))
    left = int(rng.integers(0, max(1, width - shape[1])))
    window = page[top : top + shape[0], left : left + shape[1]]
    red = np.array(REDS[int(rng.integers(len(REDS)))], np.float32)
    strength = float(rng.uniform(0.35, 0.95))
    # Seal paste is translucent: ink below it stays visible.
    window *= 1 - strength * inked[: window.shape[0], : window.shape[1], None] * (1 - red / 255)


def draw_seal(
    shape: tuple[int, int], fonts: Sequence[GlyphFont], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the paste that a seal of (H, W) leaves, in [0, 1], worn and unevenly pressed."""
    height, width = shape
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    border = max(1, round(min(shape) * float(rng.uniform(0.03, 0.08))))
    is_cut_in = bool(rng.random() < 0.35)
    outline = draw.ellipse if rng.random() < 0.3 else draw.rectangle
    outline((0, 0, width - 1, height - 1), outline=255, width=border, fill=255 if is_cut_in else 0)
    n_rows = int(rng.integers(1, 4))
    n_columns = 1 if width < 0.8 * height else int(rng.integers(1, 4))
    inner = np.zeros(shape, np.uint8)
    for row in range(n_rows):
        for column in range(n_columns):
            _place(inner, (row, column), (n_rows, n_columns), fonts, rng)
    letters = inner.astype(np.float32) / 255
    base = np.asarray(image, np.float32) / 255
    paste = base * (1 - letters) if is_cut_in else np.maximum(base, letters)
    wear = 0.85 + 0.3 * smooth_noise(shape, max(2.0, height / 10), rng) + 0.2 * smooth_noise(shape, 2, rng)
    worn: NDArray[np.float32] = paste * np.clip(wear, 0, 1)
    return worn


def _place(
    inner: NDArray[np.uint8],
    cell: tuple[int, int],
    grid: tuple[int, int],
    fonts: Sequence[GlyphFont],
    rng: np.random.Generator,
) -> None:
    """Stretch one letter to fill its cell, as seal script does."""
    font = fonts[int(rng.integers(len(fonts)))]
    letters = [letter for letter in SEAL_TEXT if letter in font.characters] or sorted(font.characters)
    margin = 0.1 * min(inner.shape)
    height, width = (inner.shape[0] - 2 * margin) / grid[0], (inner.shape[1] - 2 * margin) / grid[1]
    if min(height, width) < 6:
        return
    glyph = draw_glyph(font, letters[int(rng.integers(len(letters)))], 48)
    rows, columns = np.flatnonzero(glyph.any(1)), np.flatnonzero(glyph.any(0))
    tight = Image.fromarray(glyph[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    letter = np.asarray(tight.resize((int(width * 0.92), int(height * 0.92))))
    top, left = int(margin + cell[0] * height), int(margin + cell[1] * width)
    inner[top : top + letter.shape[0], left : left + letter.shape[1]] = letter
