"""This module writes text into columns, right to left: where each written character lies on a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from fumikura.core.page import Box
from fumikura.core.training.drawing.brush import Point
from fumikura.core.training.drawing.glyph_bending import ink_bounds, write
from fumikura.core.training.drawing.hand import Hand, is_kana, is_kanji

#: Kana for furigana, roughly as often as they occur beside kanji.
FURIGANA = "うんいしかきくとりのこまつさちよたみはひゆけおせもなあそふにすらやわめてねほむろえれる"
#: What titles at the fold are made of.
TITLE = "古今物語集記抄巻上中下一二三四五六七八九十"
FURIGANA_SCALE = 0.4
NOTE_SCALE = 0.56


@dataclass(frozen=True, slots=True)
class Layout:
    """This says how a hand fills an area; lengths without a unit are relative to the size of a kanji.

    Attributes:
        area: (left, top, right, bottom) of the text, in page pixels.
        size: of a kanji, in page pixels.
        pitch: from column to column.
        gap: mean empty space between characters; negative where they touch.
        wobble: how restless columns and strokes are, about 1.
        link_share: how often neighbours are joined by a thin stroke.
        furigana_share: how often kanji have furigana; 0 on a page without.
        note_share: how often a column turns into two half-width ones for a note.
        fading: how far the ink runs out before the brush is dipped again, in [0, 1].
        skew: of the whole page, in radians.
    """

    area: tuple[float, float, float, float]
    size: float
    pitch: float
    gap: float
    wobble: float
    link_share: float
    furigana_share: float
    note_share: float
    fading: float
    skew: float


@dataclass(frozen=True, slots=True)
class Written:
    """This is a character's ink, and where its top left pixel lies.

    Attributes:
        label: None for furigana and the like, which truth does not box.
        box: around the ink, on the page.
        wetness: ink left in the brush, in [0, 1].
    """

    ink: NDArray[np.float32]
    left: int
    top: int
    label: str | None
    box: Box
    wetness: float


@dataclass(frozen=True, slots=True)
class Column:
    """This says where a (sub-)column runs and how large it is written."""

    x: float
    top: float
    bottom: float
    scale: float


class Scribe:
    """A scribe writes text into columns; it holds the brush's ink and the place on the page."""

    def __init__(self, hand: Hand, layout: Layout, rng: np.random.Generator) -> None:
        self._hand, self._layout, self._rng = hand, layout, rng
        self._wetness = 1.0
        self._sway = float(rng.uniform(0, 6))
        self.written: list[Written] = []
        self.links: list[tuple[Point, Point, float]] = []

    def fill(self, text: Iterator[str]) -> None:
        """Flow text into the area until one of them is used up."""
        left, top, right, bottom = self._layout.area
        size, rng = self._layout.size, self._rng
        x = right - size * 0.6
        carried: list[str] = []
        while x - size * 0.5 > left:
            indent = float(rng.integers(1, 4)) * size if rng.random() < 0.08 else 0.0
            early = float(rng.uniform(0.2, 0.9)) if rng.random() < 0.06 else 1.0
            end = top + (bottom - top) * early
            heading = float(rng.uniform(1.15, 1.4)) if rng.random() < 0.04 else 1.0
            column = Column(x, top + indent, end, heading * float(rng.normal(1, 0.02)))
            carried = self._flow(chain(carried, text), column, note_share=self._layout.note_share)
            if not carried:
                return
            x -= self._layout.pitch * size

    def write_columns(self, columns: Sequence[str]) -> None:
        """Write given columns, squeezed together and each in itself as far as they must to fit."""
        left, top, right, bottom = self._layout.area
        room = (right - left - 1.2 * self._layout.size) / max(1, len(columns) - 1)
        pitch = min(self._layout.pitch * self._layout.size, room)
        x = right - self._layout.size * 0.6
        for column in columns:
            self._write_column(column, Column(x, top, bottom, 1.0))
            x -= pitch

    def write_fold_title(self, x: float) -> None:
        """Write the title at the fold, half of it on this page; truth does not box it."""
        _, top, _, bottom = self._layout.area
        y = top + float(self._rng.uniform(0.25, 0.4)) * (bottom - top)
        for number in self._rng.integers(0, len(TITLE), int(self._rng.integers(2, 6))):
            one = self._write_one(TITLE[number], (x, y), 0.7, label=None)
            if one is not None:
                self.written.append(one)
                y += one.box.height + 0.1 * self._layout.size

    def _write_column(self, text: str, column: Column) -> None:
        """Write it smaller and smaller until it ends above the bottom."""
        before = len(self.written), len(self.links)
        for scale in 0.95 ** np.arange(30):
            rest = self._flow(iter(text), Column(column.x, column.top, column.bottom, float(scale)))
            if not rest:
                return
            del self.written[before[0] :], self.links[before[1] :]
        raise ValueError(f"{len(text)} characters do not fit into one column; break it into several")

    def _flow(self, text: Iterator[str], column: Column, *, note_share: float = 0.0) -> list[str]:
        """Write down a column; gives back the label that no longer fitted, or nothing at the text's end."""
        layout, rng = self._layout, self._rng
        y, previous = column.top, None
        for label in text:
            room = (column.bottom - y) / (NOTE_SCALE * layout.size)
            if room > 5 and rng.random() < note_share:
                note = [label, *islice(text, int(rng.integers(3, int(min(room, 16)))))]
                y, previous = self._write_note(note, column.x, y), None
                continue
            one = self._write_one(label, (column.x, y), column.scale, label=label)
            if one is None:
                continue
            y_end = y + one.box.height
            if y_end > column.bottom:
                return [label]
            self.written.append(one)
            if previous is not None:
                self._maybe_link(previous, one, column.scale)
            if is_kanji(label) and column.scale > NOTE_SCALE:
                self._write_furigana(one, (column.x, y), column.scale)
            previous = one
            y = y_end + layout.size * column.scale * float(rng.normal(layout.gap, 0.05))
        return []

    def _write_note(self, note: list[str], x: float, top: float) -> float:
        """Write two half-width columns, the right one first, and return where they end."""
        half = (len(note) + 1) // 2
        first, shift = len(self.written), 0.3 * self._layout.size
        for part, side in ((note[:half], shift), (note[half:], -shift)):
            self._flow(iter(part), Column(x + side, top, math.inf, NOTE_SCALE))
        ends = [one.box.y + one.box.height for one in self.written[first:]]
        return max(ends, default=top) + 0.2 * self._layout.size

    def _write_one(self, drawn: str, place: Point, scale: float, *, label: str | None) -> Written | None:
        """Write one character, centred on x and hanging from y; None if no font draws it."""
        layout, rng = self._layout, self._rng
        form = self._hand.form(drawn)
        if form is None:
            return None
        # Small writing has nearly the same brush, so its strokes are relatively thicker.
        weight = self._hand.weight * scale**-0.4
        touch = self._hand.touch(drawn, wobble=layout.wobble)
        ink = write(form, touch, scale=self._hand.scale * scale, weight=weight)
        bounds = ink_bounds(ink)
        if bounds is None:
            return None
        top, left, bottom, right = bounds
        sway = 0.09 * layout.wobble * np.sin(place[1] / layout.size / 4 + self._sway) + rng.normal(0, 0.04)
        x, y = skewed((place[0] + float(sway) * layout.size * scale, place[1]), layout)
        box = Box(round(x - (right - left) / 2), round(y), right - left, bottom - top)
        self._use_ink()
        return Written(ink, box.x - left, box.y - top, label, box, self._wetness)

    def _write_furigana(self, kanji: Written, place: Point, scale: float) -> None:
        """Write one to three kana, whichever, down the right side of a kanji that hangs from a place."""
        rng, layout = self._rng, self._layout
        if rng.random() >= layout.furigana_share:
            return
        n_kana = int(rng.integers(1, 4))
        small = scale * FURIGANA_SCALE
        x = place[0] + layout.size * scale * 0.68
        y = place[1] + 0.5 * (kanji.box.height - n_kana * small * layout.size)
        for number in rng.integers(0, len(FURIGANA), n_kana):
            one = self._write_one(FURIGANA[number], (x, y), small, label=None)
            if one is not None:
                self.written.append(one)
                y += one.box.height + 0.05 * layout.size

    def _maybe_link(self, above: Written, below: Written, scale: float) -> None:
        layout = self._layout
        both_kana = is_kana(above.label or "") and is_kana(below.label or "")
        share = layout.link_share * (1.0 if both_kana else 0.35)
        is_near = below.box.y - above.box.y - above.box.height < 0.35 * layout.size
        if is_near and self._rng.random() < share:
            width = 0.45 * self._hand.weight * self._hand.scale * scale
            self.links.append((_ink_end(above, -1), _ink_end(below, 0), width))

    def _use_ink(self) -> None:
        self._wetness -= self._layout.fading * float(self._rng.uniform(0.01, 0.08))
        if self._wetness < 1 - 0.75 * self._layout.fading or self._rng.random() < 0.02:
            self._wetness = 1.0


def skewed(place: Point, layout: Layout) -> Point:
    """Turn a place on the straight page into one on the page as it lies in the scanner."""
    left, top, right, bottom = layout.area
    x, y = place
    return x + layout.skew * (y - (top + bottom) / 2), y - layout.skew * (x - (left + right) / 2)


def _ink_end(one: Written, row: int) -> Point:
    """Find the middle of the topmost (0) or lowest (-1) row of a character's ink."""
    top, left = one.box.y - one.top, one.box.x - one.left
    ink = one.ink[top : top + one.box.height, left : left + one.box.width]
    inked = np.flatnonzero(ink[row] > ink[row].max() / 2)
    y = one.box.y if row == 0 else one.box.y + one.box.height - 1
    return float(one.box.x + inked[len(inked) // 2]), float(y)
