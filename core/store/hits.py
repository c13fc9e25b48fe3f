"""Say what a search finds, and why it is a find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fumikura.core.page import Box


@dataclass(frozen=True, slots=True)
class Hit:
    """A hit is a place on a page where the character or phrase stands.

    Attributes:
        position: of the first character, in reading order from 0.
        boxes: of each character of the phrase.
        confidence: of the least certain character.
        before: the characters that stand before, on the same page.
        after: likewise.
        why: in what it is not written as it was asked for: "ゐ for い"; empty if in nothing.
        probability: of a forgiving search, that all the phrase stands there; None of another.
    """

    page_id: int
    page: str
    book: str
    archive: str
    member: str
    reading_id: int
    position: int
    column_number: int
    boxes: tuple[Box, ...]
    label: str
    confidence: float
    before: str
    after: str
    why: str = ""
    probability: float | None = None

    @property
    def box(self) -> Box:
        """Give the box of the first character."""
        return self.boxes[0]

    @property
    def context(self) -> str:
        """Write the hit among the characters around it."""
        return f"{self.before}{self.label}{self.after}"


def explain(text: str, matched: Sequence[Any]) -> str:
    """Say which labels stand for others; nothing of what a gap holds.

    Args:
        matched: rows with a `label`.
    """
    if len(matched) != len(text):
        return ""
    pairs = zip((row.label for row in matched), text, strict=True)
    return ", ".join(f"{glyph} for {char}" for glyph, char in pairs if char not in ("?", glyph))
