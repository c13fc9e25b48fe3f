"""This module draws pages with truth: kuzushiji as a scan shows it, for training, tests and samples.

Only main text is boxed, as in CODH's truth: furigana, the title at the fold, seals
and pictures are there to be left alone.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.marked_pictures import save_picture
from fumikura.core.own_files import replacing
from fumikura.core.page import LabelledBox
from fumikura.core.training.drawing import paper
from fumikura.core.training.drawing.brush import Brush, link
from fumikura.core.training.drawing.columns import Scribe, Written
from fumikura.core.training.drawing.fonts import GlyphFont
from fumikura.core.training.drawing.foreign import put_foreign_things
from fumikura.core.training.drawing.frames import draw_frame, fold_x
from fumikura.core.training.drawing.hand import Hand
from fumikura.core.training.drawing.photographs import photograph
from fumikura.core.training.drawing.pictures import draw_picture
from fumikura.core.training.drawing.seals import stamp_seal
from fumikura.core.training.drawing.style import PageStyle, draw_style

CSV_HEADER = ("Unicode", "Image", "X", "Y", "Block ID", "Char ID", "Width", "Height")
#: Share of pages without text: covers, blank sheets, pictures.
EMPTY = 0.08
#: Share of pages with threads, labels, fingers and the like on them; and that lie on a table with rulers.
FOREIGN, PHOTOGRAPHED = 0.4, 0.25


def render_page(
    text: str | Sequence[str],
    *,
    fonts: Sequence[GlyphFont],
    rng: np.random.Generator,
    long_side: int = 1280,
    style: PageStyle | None = None,
) -> tuple[Image.Image, list[LabelledBox]]:
    """Draw a page; the boxes come in reading order, tight around each character's ink.

    Args:
        text: one string flows into columns until it or the page ends; a list of
            strings is written a column each, right to left.
        fonts: those that draw many characters write the body, the others lend it hentaigana.
        long_side: in pixels; a given style brings its own.
    """
    style = style or draw_style(rng, long_side=long_side)
    layout = style.layout
    hand = Hand(
        fonts,
        rng,
        size=layout.size,
        weight=style.weight,
        stretch=style.stretch,
        hentaigana_share=style.hentaigana_share,
    )
    scribe = Scribe(hand, layout, rng)
    if isinstance(text, str):
        scribe.fill(char for char in text if not char.isspace())
    else:
        scribe.write_columns(text)
    if style.has_fold_title:
        scribe.write_fold_title(fold_x(style))
    written = [one for one in scribe.written if _is_on_page(one, style)]
    brush = Brush(style.width, style.height)
    for start, end, width in scribe.links:
        link(brush, start, end, width=width, rng=rng)
    draw_frame(brush, style, rng)
    if style.picture is not None:
        draw_picture(brush, style.picture, line=max(1.2, style.weight * layout.size * 0.5), rng=rng)
    ink = np.maximum(brush.ink(), _ink_of(written, style, rng))
    image = _compose(ink, style, fonts, rng)
    boxes = [LabelledBox(one.box, one.label) for one in written if one.label is not None]
    return Image.fromarray(image), boxes


def _is_on_page(one: Written, style: PageStyle) -> bool:
    height, width = one.ink.shape
    right, bottom = one.left + width, one.top + height
    return one.left >= 0 and one.top >= 0 and right <= style.width and bottom <= style.height


def _ink_of(written: Sequence[Written], style: PageStyle, rng: np.random.Generator) -> NDArray[np.float32]:
    """Put all characters on one map (H, W); where the brush runs dry, bristles show."""
    page = np.zeros((style.height, style.width), np.float32)
    bristles = np.clip(0.6 + 0.5 * paper.smooth_noise(page.shape, 1.6, rng), 0, 1)
    for one in written:
        window = np.s_[one.top : one.top + one.ink.shape[0], one.left : one.left + one.ink.shape[1]]
        dry = 1 - one.wetness
        ink = one.ink * (1 - 0.35 * dry - 0.45 * dry * (1 - bristles[window]))
        np.maximum(page[window], ink, out=page[window])
    return page


def _compose(
    ink: NDArray[np.float32], style: PageStyle, fonts: Sequence[GlyphFont], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Put ink onto paper, seals over it, holes through it, and scan that."""
    shape = style.height, style.width
    page = paper.make_paper(shape, style.tone, rng)
    for _ in range(style.n_stains):
        paper.stain(page, rng)
    if style.bleed:
        page *= (1 - style.bleed * _other_side(ink, rng))[:, :, None]
    missing = 0.45 * paper.smooth_noise(shape, 2.2, rng) + 0.3 * paper.smooth_noise(shape, 60, rng)
    printed = ink * style.darkness * (1 - style.mottling * np.clip(missing, -0.2, 0.9))
    alpha = np.clip(printed, 0, 1)[:, :, None]
    page += alpha * (np.array(style.ink, np.float32) - page)
    body = [font for font in fonts if "之" in font.characters] or list(fonts)
    for _ in range(style.n_seals):
        stamp_seal(page, body, rng)
    for _ in range(style.n_holes):
        paper.worm_hole(page, style.tone, rng)
    return paper.expose(paper.scan(page, style.sheet, next_tone=style.tone, rng=rng), rng)


def _other_side(ink: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Let the back show through: this page's own ink mirrored, elsewhere, blurred, in patches."""
    height, width = ink.shape
    shift = int(rng.normal(0, height / 60)), int(rng.normal(0, width / 15))
    mirrored = np.roll(ink[:, ::-1], shift, (0, 1))
    small = Image.fromarray(mirrored).reduce(int(rng.integers(2, 5)))
    blurred = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    patches = np.clip(0.7 + 0.5 * paper.smooth_noise((height, width), height / 5, rng), 0, 1)
    seen: NDArray[np.float32] = blurred * patches
    return seen


def render_many(
    n_pages: int,
    folder: Path,
    texts: Sequence[str],
    *,
    fonts: Sequence[GlyphFont],
    seed: int,
    long_side: int = 1280,
    empty_share: float = EMPTY,
) -> Path:
    """Draw pages as drawn_00001.jpg, ... and their truth in CODH's format; gives back the CSV's path.

    Args:
        texts: of labels only; each page starts somewhere in one of them and reads on.
        empty_share: of pages without text, in [0, 1].

    Raises:
        UsageError: something stands in a page's place, or the truth's, that this did not write.
    """
    whole = "".join(texts)
    if not whole:
        raise ValueError("there is no text to draw; give at least one character")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "coordinate.csv"
    # Nobody's file is ours: where the truth is there, its pages are too.
    with (
        replacing(path, lambda _: False) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(CSV_HEADER)
        for number in range(1, n_pages + 1):
            rng = np.random.default_rng([seed, number])
            start = int(rng.integers(len(whole)))
            n_characters = 0 if rng.random() < empty_share else int(rng.choice([30, 150, 900, 900, 900]))
            text = (whole[start:] + whole[:start])[:n_characters]
            style = draw_style(rng, long_side=long_side)
            if not text and rng.random() < 0.6:
                style = replace(style, picture=style.layout.area)
            image, boxes = render_page(text, fonts=fonts, rng=rng, style=style)
            image, boxes = _as_libraries_have_it(image, boxes, np.random.default_rng([seed, number, 1]))
            name = f"drawn_{number:05d}"
            save_picture(image, folder / f"{name}.jpg", quality=int(rng.integers(72, 94)))
            rows.writerows(truth_rows(name, boxes))
    return path


def _as_libraries_have_it(
    image: Image.Image, boxes: list[LabelledBox], rng: np.random.Generator
) -> tuple[Image.Image, list[LabelledBox]]:
    """Put onto some pages, and beside some, what is no writing."""
    scan = np.asarray(image)
    if rng.random() < FOREIGN:
        scan = put_foreign_things(scan, boxes, rng)
    if rng.random() < PHOTOGRAPHED:
        scan, boxes = photograph(scan, boxes, rng)
    return Image.fromarray(scan), boxes


def truth_rows(name: str, boxes: Sequence[LabelledBox]) -> list[tuple[str | int, ...]]:
    """Return a page's truth as rows of CODH's coordinate CSV, in reading order."""
    rows: list[tuple[str | int, ...]] = []
    for number, one in enumerate(boxes, start=1):
        box, code_point = one.box, f"U+{ord(one.label):04X}"
        rows.append((code_point, name, box.x, box.y, "B0001", f"C{number:04d}", box.width, box.height))
    return rows
