"""This module photographs a drawn page as libraries do: on a table, with ruler, label and colour chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fumikura.core.lettering import font
from fumikura.core.page import Box, LabelledBox
from fumikura.core.training.drawing.foreign import printed_label
from fumikura.core.training.drawing.paper import smooth_noise

Scan = NDArray[np.uint8]

_TABLES = ((24, 24, 26), (14, 14, 14), (176, 176, 178), (150, 148, 146), (60, 70, 66), (112, 84, 60))
_TITLES = ("国立国会図書館", "タイトル『物語 40巻』", "請求記号 WA7-146", "ガラス使用", "縮尺 1/10",
           "図書館蔵", "0001", "R", "No. 12", "整理番号 863-214", "書名", "撮影 昭和")  # fmt: skip
_PATCHES = ((0, 0, 0), (60, 60, 60), (120, 120, 120), (190, 190, 190), (245, 245, 245), (220, 40, 60),
            (240, 140, 30), (250, 225, 60), (0, 150, 80), (0, 160, 220), (70, 50, 140), (220, 60, 140),
            (130, 90, 60), (200, 150, 130))  # fmt: skip


def photograph(
    scan: Scan, boxes: Sequence[LabelledBox], rng: np.random.Generator
) -> tuple[Scan, list[LabelledBox]]:
    """Lay a page (H, W, 3) onto a table with what is put beside it; boxes move with the page."""
    height, width = scan.shape[:2]
    margins = (rng.uniform(0.02, 0.16, 4) * height).astype(int)
    left, top, right, bottom = (int(margin) for margin in margins)
    things = [thing for thing in (_ruler, _chart, _notice) if rng.random() < 0.6]
    for thing in things:  # something lies below the page or above it, something to its side
        if thing is not _chart:
            bottom = max(bottom, int(height * float(rng.uniform(0.09, 0.15))))
        else:
            right = max(right, int(height * float(rng.uniform(0.12, 0.2))))
    shape = (height + top + bottom, width + left + right)
    table = _table(shape, rng)
    if rng.random() < 0.4:  # the bar of the cradle that holds the book
        middle, half = left + int(rng.uniform(0, 1) * width), int(0.012 * height)
        table[:, max(0, middle - half) : middle + half] = int(rng.integers(5, 40))
    image = Image.fromarray(table)
    rooms = {"below": (0, top + height, shape[1], shape[0]), "beside": (left + width, 0, shape[1], shape[0])}
    for thing in things:
        thing(image, rooms["beside" if thing is _chart else "below"], rng)
    shadow = Image.new("L", image.size)
    ImageDraw.Draw(shadow).rectangle((left - 4, top - 2, left + width + 6, top + height + 6), fill=120)
    image.paste((0, 0, 0), mask=shadow.filter(ImageFilter.BoxBlur(5)))
    image.paste(Image.fromarray(scan), (left, top))
    moved = [
        replace(one, box=Box(one.box.x + left, one.box.y + top, one.box.width, one.box.height))
        for one in boxes
    ]
    return np.array(image), moved


def _table(shape: tuple[int, int], rng: np.random.Generator) -> Scan:
    tone = np.array(_TABLES[int(rng.integers(len(_TABLES)))], np.float32)
    light = 1 + 0.06 * smooth_noise(shape, shape[0] / 3, rng) + 0.015 * rng.normal(size=shape)
    return np.clip(tone * light[..., None].astype(np.float32), 0, 255).astype(np.uint8)


def _ruler(image: Image.Image, room: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Lay a ruler across, its centimetres numbered, their figures upright or turned as on a tape."""
    left, top, right, bottom = room
    high = max(12, int((bottom - top) * float(rng.uniform(0.25, 0.45))))
    y = top + int((bottom - top) * float(rng.uniform(0.08, 0.3)))
    is_white = bool(rng.random() < 0.75)
    paper, mark = ((240, 240, 238), (25, 25, 25)) if is_white else ((30, 30, 30), (235, 235, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, y, right, y + high), fill=paper)
    unit = high * float(rng.uniform(0.9, 1.7))
    first, turn = int(rng.integers(0, 40)), int(rng.choice([0, 90, 270]))
    for number in range(int((right - left) / unit) + 1):
        x = left + number * unit
        for part in range(10):
            long = 0.45 if part == 0 else 0.3 if part == 5 else 0.18
            draw.line([(x + part * unit / 10, y), (x + part * unit / 10, y + long * high)], fill=mark)
        _paste_text(
            image, str(first + number), (int(x + unit / 2), int(y + 0.7 * high)), int(high * 0.5), turn, mark
        )
    if rng.random() < 0.4:
        draw.rectangle((left, y, left + (right - left) // 2, y + high // 4), fill=(210, 60, 60))


def _paste_text(
    image: Image.Image, text: str, middle: tuple[int, int], size: int, turn: int, colour: tuple[int, int, int]
) -> None:
    mask = Image.new("L", (size * max(1, len(text)), 2 * size))
    ImageDraw.Draw(mask).text((mask.width / 2, size), text, fill=255, font=font(max(6, size)), anchor="mm")
    mask = mask.rotate(turn, expand=True)
    image.paste(colour, (middle[0] - mask.width // 2, middle[1] - mask.height // 2), mask)


def _chart(image: Image.Image, room: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Lay a colour chart beside the page: a stack of patches, some of them numbered."""
    left, top, right, bottom = room
    side = max(10, int((right - left) * float(rng.uniform(0.2, 0.38))))
    n_columns = int(rng.integers(1, 4))
    x0 = left + int((right - left - n_columns * side) * float(rng.uniform(0.2, 0.8)))
    y0 = top + int((bottom - top) * float(rng.uniform(0, 0.4)))
    draw = ImageDraw.Draw(image)
    for row in range(int(rng.integers(6, 19))):
        for column in range(n_columns):
            x, y = x0 + column * side, y0 + row * side
            colour = _PATCHES[int(rng.integers(len(_PATCHES)))]
            draw.rectangle((x, y, x + side, y + side), fill=colour)
            if rng.random() < 0.35:
                ink = (250, 250, 250) if sum(colour) < 380 else (20, 20, 20)
                text = str(rng.choice(["A", "B", "M", "C", "Y", "19", "KODAK", str(row)]))
                letters = font(max(6, int(side * 0.8 / max(2, len(text)))))
                draw.text((x + side / 2, y + side / 2), text, fill=ink, font=letters, anchor="mm")


def _notice(image: Image.Image, room: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Lay strips of paper below the page, with title and shelf mark in print."""
    left, top, right, bottom = room
    for _ in range(int(rng.integers(1, 4))):
        height = max(14, int((bottom - top) * float(rng.uniform(0.15, 0.35))))
        words = " ".join(str(rng.choice(_TITLES)) for _ in range(int(rng.integers(1, 4))))
        width = int(min(right - left, 0.7 * height * (len(words) + 1)))
        x = int(rng.integers(left, max(left + 1, right - width)))
        y = int(rng.integers(top, max(top + 1, bottom - height)))
        image.paste(printed_label((width, height), [words], rng), (x, y))
