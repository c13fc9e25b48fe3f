"""This module puts onto a drawn page what is no writing, and what readers take for it: threads, worm tracks,
fingers, shelf-mark labels, patterned borders, creases.

Characters stay seen: what would cover one goes elsewhere, or is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fumikura.core.lettering import font
from fumikura.core.page import LabelledBox
from fumikura.core.training.drawing.brush import wander
from fumikura.core.training.drawing.paper import smooth_noise

Scan = NDArray[np.uint8]

_SKIN = ((224, 176, 150), (198, 146, 118), (240, 200, 178))
_THREADS = ((60, 55, 50), (215, 205, 185), (40, 50, 90), (120, 90, 60))
_LABEL_WORDS = ("WA7", "146", "863", "214", "特1", "和", "別", "第", "号", "冊", "函", "架", "函架", "號")
_TRIES = 12


def put_foreign_things(
    scan: Scan, boxes: Sequence[LabelledBox], rng: np.random.Generator, *, share: float = 0.3
) -> Scan:
    """Put some things onto a page (H, W, 3), each with the same chance; the boxes stay uncovered."""
    image = Image.fromarray(scan)
    taken = np.zeros(scan.shape[:2], bool)
    for box in (one.box for one in boxes):
        taken[max(0, box.y) : box.y + box.height, max(0, box.x) : box.x + box.width] = True
    things: tuple[Callable[..., None], ...] = (_thread, _worm_tracks, _finger, _label, _border, _crease)
    for thing in things:
        if rng.random() < share:
            thing(image, taken, rng)
    return np.array(image)


def _free_place(
    taken: NDArray[np.bool_], width: int, height: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Find (left, top) of a place of this size without characters, or give up."""
    for _ in range(_TRIES):
        left = int(rng.integers(0, max(1, taken.shape[1] - width)))
        top = int(rng.integers(0, max(1, taken.shape[0] - height)))
        if not taken[top : top + height, left : left + width].any():
            return left, top
    return None


def _thread(image: Image.Image, _taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Bind the book: a thread along one side, stitches from it to the edge, knots with loose ends."""
    draw, colour = ImageDraw.Draw(image), _THREADS[int(rng.integers(len(_THREADS)))]
    width, height = image.size
    is_left, reach = bool(rng.random() < 0.5), float(rng.uniform(0.015, 0.07)) * width
    thick = max(1, round(height * float(rng.uniform(0.0008, 0.0025))))
    x = reach if is_left else width - reach
    if rng.random() < 0.6:
        draw.line([(x, 0), (x + float(rng.normal(0, 3)), height)], fill=colour, width=thick)
    for y in np.linspace(0.08, 0.92, int(rng.integers(4, 7))) * height:
        draw.line([(x, y), (0 if is_left else width, y + float(rng.normal(0, 2)))], fill=colour, width=thick)
        if rng.random() < 0.5:
            heading = float(rng.uniform(0, 2 * np.pi))
            path = wander(
                (x, float(y)), length=0.04 * height * float(rng.random()), heading=heading, bend=1.0, rng=rng
            )
            draw.line([(float(px), float(py)) for px, py in path], fill=colour, width=thick)


def _worm_tracks(image: Image.Image, taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Eat long tracks into the page: dark where there is a gap below, light where the next leaf lies."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    for _ in range(int(rng.integers(1, 9))):
        length = height * float(rng.uniform(0.008, 0.07))
        start = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        heading, bend = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.2, 1.6))
        path = wander(start, length=length, heading=heading, bend=bend, rng=rng)
        columns = np.clip(path[:, 0].astype(int), 0, width - 1)
        rows = np.clip(path[:, 1].astype(int), 0, height - 1)
        if taken[rows, columns].any():
            continue
        shade = int(rng.integers(15, 110)) if rng.random() < 0.75 else int(rng.integers(200, 245))
        widths = np.clip(rng.normal(1, 0.5, len(path)), 0.3, 2.2) * float(rng.uniform(0.8, 3.5))
        for (x0, y0), (x1, y1), thick in zip(path[:-1], path[1:], widths[1:], strict=True):
            draw.line([(x0, y0), (x1, y1)], fill=(shade, shade - 4, shade - 10), width=max(1, round(thick)))


def _finger(image: Image.Image, taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Let a finger or a thumb hold the page from its edge."""
    width, height = image.size
    thick, length = float(rng.uniform(0.03, 0.06)) * height, float(rng.uniform(0.05, 0.13)) * height
    side = int(rng.integers(3))  # left, right, bottom
    for _ in range(_TRIES):
        if side == 2:
            x, y = float(rng.uniform(0.1, 0.9)) * width, float(height)
            ellipse = (x - thick / 2, y - length, x + thick / 2, y + length)
        else:
            x, y = (0.0 if side == 0 else float(width)), float(rng.uniform(0.2, 0.95)) * height
            ellipse = (x - length, y - thick / 2, x + length, y + thick / 2)
        left, top = max(0, int(ellipse[0])), max(0, int(ellipse[1]))
        if not taken[top : int(ellipse[3]) + 1, left : int(ellipse[2]) + 1].any():
            break
    else:
        return
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))], np.float32)
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse(ellipse, fill=255)
    noise = 1 + 0.06 * smooth_noise((height, width), thick / 2, rng)
    finger = Image.fromarray(np.clip(skin * noise[..., None], 0, 255).astype(np.uint8))
    shadow = mask.filter(ImageFilter.BoxBlur(8)).point(lambda value: value // 3)
    image.paste((40, 30, 25), mask=shadow)
    image.paste(finger, mask=mask.filter(ImageFilter.BoxBlur(1)))


def _label(image: Image.Image, taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Stick a library's shelf mark onto the page: printed or typed, in a frame, some turned."""
    height = int(image.height * float(rng.uniform(0.03, 0.09)))
    sticker = printed_label(
        (int(height * float(rng.uniform(0.7, 1.8))), height),
        [str(rng.choice(_LABEL_WORDS)) for _ in range(int(rng.integers(1, 4)))],
        rng,
    )
    sticker = sticker.rotate(float(rng.normal(0, 2)), expand=True, fillcolor=sticker.getpixel((0, 0)))
    place = _free_place(taken, *sticker.size, rng)
    if place is not None:
        image.paste(sticker, place)


def printed_label(size: tuple[int, int], rows: Sequence[str], rng: np.random.Generator) -> Image.Image:
    """Print rows of text onto a label of (width, height), with or without a frame."""
    width, height = size
    paper = tuple(int(value) for value in rng.integers(205, 253, 3))
    label = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(label)
    colours = [(30, 30, 30), (40, 40, 60), (170, 40, 35), (30, 60, 120)]
    if rng.random() < 0.6:
        edge = max(1, height // 40)
        frame = colours[int(rng.integers(len(colours)))]
        draw.rectangle((2 * edge, 2 * edge, width - 2 * edge, height - 2 * edge), outline=frame, width=edge)
    step = height / (len(rows) + 0.4)
    colour = colours[int(rng.integers(len(colours)))]
    for number, row in enumerate(rows):
        letters = max(6, min(int(step * 0.75), int(1.6 * width / max(1, len(row)))))
        draw.text((width / 2, step * (number + 0.7)), row, fill=colour, font=font(letters), anchor="mm")
    return label


def _border(image: Image.Image, taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Print a patterned band, of one motif again and again, as covers and end papers have them."""
    width, height = image.size
    side = int(rng.uniform(0.012, 0.035) * height)
    n_rows = int(rng.integers(1, 5))
    is_upright = bool(rng.random() < 0.5)
    band = (
        (n_rows * side, int(height * float(rng.uniform(0.3, 1))))
        if is_upright
        else (int(width * float(rng.uniform(0.3, 1))), n_rows * side)
    )
    place = _free_place(taken, *band, rng)
    if place is None:
        return
    draw = ImageDraw.Draw(image)
    shade = int(rng.integers(20, 150))
    colour = (shade, int(shade * float(rng.uniform(0.7, 1.1))), int(shade * float(rng.uniform(0.6, 1.1))))
    motif = _motif(side, rng)
    for y in range(place[1], place[1] + band[1] - side + 1, side):
        for x in range(place[0], place[0] + band[0] - side + 1, side):
            for stroke in motif:
                draw.line([(x + u, y + v) for u, v in stroke], fill=colour, width=max(1, side // 12))


def _motif(side: int, rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    """Draw a motif by lot: some strokes in a square, mirrored, as weavers and carvers do it."""
    strokes = []
    for _ in range(int(rng.integers(1, 4))):
        start = float(rng.uniform(0.1, 0.5)) * side, float(rng.uniform(0.1, 0.9)) * side
        path = wander(
            start,
            length=side * float(rng.uniform(0.3, 0.9)),
            heading=float(rng.uniform(0, 6.3)),
            bend=float(rng.uniform(0, 2)),
            rng=rng,
        )
        half = [(float(np.clip(x, 0, side / 2)), float(np.clip(y, 0, side))) for x, y in path[::4]]
        strokes += [half, [(side - x, y) for x, y in half]]
    return strokes


def _crease(image: Image.Image, _taken: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Fold the page once and flatten it again: a bright line beside a dark one, also through characters."""
    width, height = image.size
    pixels = np.asarray(image, np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = float(rng.normal(0, 0.1)) + (np.pi / 2 if rng.random() < 0.5 else 0)
    away = (x - float(rng.uniform(0, width))) * np.cos(angle) + (y - float(rng.uniform(0, height))) * np.sin(
        angle
    )
    away += 2 * smooth_noise((height, width), 60, rng)
    depth = float(rng.uniform(0.05, 0.3))
    light = 1 + 0.5 * depth * np.exp(-((away + 1.5) ** 2) / 2) - depth * np.exp(-((away - 1) ** 2) / 2)
    image.paste(Image.fromarray(np.clip(pixels * light[..., None], 0, 255).astype(np.uint8)))
