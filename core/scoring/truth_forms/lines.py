"""This module makes truth of lines, of which each may tell its characters, its text, or its box alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fumikura.core.page import Box, LabelledBox, Role, Truth
from fumikura.core.vocabulary import clean_text

#: Roles of lines that stand beside the text.
BESIDE = frozenset({Role.FURIGANA.value, Role.MARGIN.value})


@dataclass(frozen=True, slots=True)
class Line:
    """This is a line, or a column, as a file tells it.

    Attributes:
        text: empty if the file does not tell it.
        characters: boxes with labels, in order; an editorial mark has an empty label.
        is_beside: it is no part of the text, but its furigana, or what stands in the margin.
    """

    box: Box
    text: str
    characters: Sequence[LabelledBox]
    is_beside: bool = False

    @property
    def is_boxed(self) -> bool:
        """Tell whether all of its text has boxes, and these say the same as the text."""
        labels = "".join(character.label for character in self.characters)
        return bool(self.text.strip()) and labels == clean_text(self.text)


def truth_of(lines: Sequence[Line]) -> Truth:
    """Put the lines of a page together, which stand in reading order.

    There are boxes where all text of all lines has them; else a reading would be blamed for what it finds in
    the others. A page without lines is a blank one.
    """
    boxes = None
    if all(line.is_boxed for line in lines):
        boxes = tuple(character for line in lines for character in line.characters if character.label)
    text = "\n".join(line.text for line in lines if not line.is_beside)
    return Truth(
        boxes=boxes,
        is_ordered=bool(boxes),
        text=text if text.strip() or not lines else None,
        lines=tuple(LabelledBox(line.box, line.text) for line in lines),
    )
