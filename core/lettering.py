"""This module sets labels: which font draws them, and what is drawn for a label that the font lacks."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from fumikura.core.folding import fold

#: What printers set for a type they lack.
MISSING = "〓"

# Marks that say "repeat all above" are as high as two characters, and the font has them in halves.
_HALVES = {"〱": "〳〵", "〲": "〴〵"}


def drawable(label: str) -> str | None:
    """Choose what to set for a label, from top to bottom: itself, or a form of it that the font can draw."""
    forms = (label, _HALVES.get(label, ""), fold(label))
    return next((text for text in forms if text and all(map(is_drawn, text))), None)


@lru_cache(maxsize=8192)
def is_drawn(char: str) -> bool:
    """Tell whether the font has the character: what it lacks it draws all alike."""
    return bytes(font(24).getmask(char)) != bytes(font(24).getmask("\uffff"))


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Load the font in a size, in pixels."""
    return ImageFont.truetype(font_path(), size)


def font_path() -> Path:
    """Find the font that labels are set in: IPAex Gothic, which matplotlib-fontja carries."""
    # Found without importing the package, which would import matplotlib.
    spec = find_spec("matplotlib_fontja")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "fonts" / "ipaexg.ttf"
