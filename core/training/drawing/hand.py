"""This module is a writing hand: it chooses which form each character takes on a page.

One hand keeps to its forms over a page, as writers and block carvers do; every
time it writes one, the brush presses, leans and stretches a little differently.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from fumikura.core.training.drawing.fonts import GlyphFont, variants
from fumikura.core.training.drawing.glyph_bending import Form, Touch, make_form

# A font with fewer characters draws kana only and lends its forms to others.
BODY_CHARACTERS = 1500

#: Kana that writers draw out along the column, and how far.
LONG_KANA = {"し": 1.9, "く": 1.3, "り": 1.3, "ゝ": 1.1, "う": 1.15, "へ": 1.1, "つ": 1.1}

#: Kana that writers draw out across the column, and how far.
WIDE_KANA = {
    **dict.fromkeys("のこきせ", 1.25),
    "へ": 1.5,
    "つ": 1.4,
    "ふ": 1.35,
    "や": 1.3,
    "と": 1.2,
}


class Hand:
    """A hand chooses and keeps forms; it is a class because forms are costly and used again.

    Args:
        size: of a kanji in page pixels.
        weight: stroke width relative to the size.
        stretch: how much taller than the fonts this hand writes, about 1.
        hentaigana_share: how many kana get forms other than the modern one, in [0, 1].
    """

    def __init__(
        self,
        fonts: Sequence[GlyphFont],
        rng: np.random.Generator,
        *,
        size: float,
        weight: float,
        stretch: float,
        hentaigana_share: float,
    ) -> None:
        bodies = [font for font in fonts if len(font.characters) >= BODY_CHARACTERS] or list(fonts)
        first = int(rng.integers(len(bodies)))
        self._bodies = [bodies[first], *bodies[:first], *bodies[first + 1 :]]
        self._kana_fonts = [font for font in fonts if font not in bodies]
        self._rng = rng
        # Forms are half as large again as on the page, so that warping them loses nothing.
        self._source_size = max(16, round(size * 1.5))
        self.scale = size / self._source_size
        self.weight = weight * self._source_size
        self._stretch = stretch
        self._hentaigana_share = hentaigana_share
        self._choices: dict[str, list[tuple[GlyphFont, str]]] = {}
        self._forms: dict[tuple[str, str], Form] = {}

    def form(self, label: str) -> Form | None:
        """Return a form of the label, of those that this hand uses; None if no font draws it."""
        if label not in self._choices:
            self._choices[label] = self._choose(label)
        choices = self._choices[label]
        if not choices:
            return None
        font, character = choices[int(self._rng.integers(len(choices)))]
        key = (font.name, character)
        if key not in self._forms:
            self._forms[key] = make_form(font, character, self._source_size)
        return self._forms[key]

    def _choose(self, label: str) -> list[tuple[GlyphFont, str]]:
        rng = self._rng
        plain = next(((font, label) for font in self._bodies if label in font.characters), None)
        choices = [plain] if plain else []
        others = [(font, variant) for font in self._kana_fonts for variant in variants(font, label)]
        if others and (not choices or rng.random() < self._hentaigana_share):
            picked = rng.choice(len(others), min(len(others), int(rng.integers(1, 3))), replace=False)
            kept = choices if rng.random() < 0.6 else []
            choices = kept + [others[number] for number in picked]
        return choices

    def touch(self, label: str, *, wobble: float) -> Touch:
        """Decide how the label is written this time."""
        rng = self._rng
        long = LONG_KANA.get(label, 1.0)
        size = (0.86 if is_kana(label) else 1.0) * float(np.exp(rng.normal(0, 0.07)))
        stretch = float(rng.uniform(0.9, max(1.12, long)))
        return Touch(
            scale_y=size * stretch * self._stretch,
            scale_x=size * float(rng.uniform(0.88, WIDE_KANA.get(label, 1.08))),
            lean=float(rng.normal(0, 0.07)),
            turn=float(rng.normal(0, 0.035)),
            wobble=wobble * float(rng.uniform(0.4, 1.3)),
            phase=float(rng.uniform(0, 2 * np.pi)),
        )


def is_kana(label: str) -> bool:
    """Tell whether a label is hiragana or katakana, iteration marks included."""
    return "\u3040" <= label <= "\u30ff" or label in "〱〲〳〵"


def is_kanji(label: str) -> bool:
    """Tell whether a label is a Chinese character, with furigana beside it in many books."""
    return unicodedata.name(label, "").startswith("CJK")
