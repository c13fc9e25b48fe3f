"""This module defines what an export gets of a page: what was read on it, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from fumikura.core.page import IN_TEXT, Character


@dataclass(frozen=True, slots=True)
class ReadPage:
    """This is a page with the characters that were read on it.

    Attributes:
        name: as people call it, without folder and ending. Pages of two archives may share one.
        digest: SHA-256 of the image's bytes, in hexadecimal.
        sources: (archive, member), the place seen last first; at least one.
        width: of the original, upright page, in pixels; the boxes lie on it.
        height: likewise.
        characters: in reading order, those that were asked for.
        positions: of these characters on the page, from 0; those that were not asked for are missing.
        mask_png: one bit a pixel, at working resolution; None unless asked for.
        corrected_at: when people last put it right; None if they never did.
        label: what people call the page where it was seen last, such as `12 recto`; None if nobody says.
        canvas: URI of the IIIF canvas that shows it there, with its area as #xywh=; None if there is none.
    """

    page_id: int
    name: str
    book: str
    digest: str
    sources: tuple[tuple[str, str], ...]
    width: int
    height: int
    reading_id: int
    recipe_digest: str
    finished_at: datetime
    characters: tuple[Character, ...]
    positions: tuple[int, ...]
    mask_png: bytes | None = None
    corrected_at: datetime | None = None
    label: str | None = None
    canvas: str | None = None

    @property
    def archive(self) -> str:
        """Give the archive in which the page was seen last."""
        return self.sources[0][0]

    @property
    def member(self) -> str:
        """Give the page's path inside that archive."""
        return self.sources[0][1]

    @property
    def version(self) -> str:
        """Tell this reading of the page from all others, also from an earlier one by the same recipe."""
        return version_of(self.reading_id, self.finished_at, self.corrected_at)

    @property
    def columns(self) -> tuple[tuple[Character, ...], ...]:
        """Give the characters of each column from top to bottom, the rightmost column first."""
        columns = groupby(self.characters, key=lambda character: character.column_number)
        return tuple(tuple(column) for _, column in columns)

    @property
    def text_columns(self) -> tuple[tuple[Character, ...], ...]:
        """Give the columns of the text, without furigana and what stands in the margin."""
        return tuple(column for column in self.columns if column[0].role in IN_TEXT)


def version_of(reading_id: int, finished_at: datetime, corrected_at: datetime | None) -> str:
    """Tell a reading as it stands from all others, also from the same one before people put it right."""
    times = (time.isoformat() for time in (finished_at, corrected_at) if time is not None)
    return " ".join([str(reading_id), *times])


def marked_text(characters: tuple[Character, ...], *, unsure_below: float | None = None) -> str:
    """Write labels one after the other, and those of less confidence as 〔に？〕.

    Args:
        unsure_below: a probability; None marks nothing.
    """
    if unsure_below is None:
        return "".join(character.label for character in characters)
    return "".join(
        f"〔{character.label}？〕" if character.confidence < unsure_below else character.label
        for character in characters
    )
