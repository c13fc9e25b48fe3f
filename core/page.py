"""This module defines what the stages of reading hand on to each other.

These types know neither torch nor the database, so that every part of the
program can import them at no cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """A box is a rectangle in whole pixels of the original, upright page, from its top left."""

    x: int
    y: int
    width: int
    height: int

    @property
    def centre(self) -> tuple[float, float]:
        """Give the middle as (y, x)."""
        return self.y + self.height / 2, self.x + self.width / 2


def stand_in_digest(archive: str, member: str) -> str:
    """Make a digest for a page whose bytes cannot be read: it is listed, and fails when its turn comes."""
    return hashlib.sha256(f"{archive}\0{member}".encode()).hexdigest()


def name_of(archive: str, member: str) -> str:
    """Name a page as people do: by its file without the ending, or by its archive if that is all."""
    return PurePosixPath(member).stem or PurePosixPath(archive).name


@dataclass(frozen=True, slots=True)
class PageReference:
    """A reference says where a page's image lies, and by what it is known.

    Attributes:
        archive: absolute path of the archive (a single file's archive is its folder).
        member: path of the image inside the archive, with forward slashes; empty for an archive that
            cannot be read, or not to its end.
        digest: SHA-256 of the image's bytes, in hexadecimal; of a page that a manifest names, of its
            address and size; where they cannot be read, of archive, a zero byte and member.
        book: the work the page belongs to.
        stamp: by what the file is told to be unchanged, without a look at its bytes; None if by nothing.
        label: what people call the page, such as `12 recto`; None if nobody says.
        canvas: URI of the IIIF canvas that shows it, with its area as #xywh=; None if there is none.
    """

    archive: str
    member: str
    digest: str
    size_bytes: int
    book: str
    stamp: str | None = None
    label: str | None = None
    canvas: str | None = None

    @property
    def is_stand_in(self) -> bool:
        """Tell whether it stands for all that cannot be read of an archive, and fails when its turn comes."""
        return not self.member

    @property
    def name(self) -> str:
        """Name the page as people do."""
        return name_of(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class View:
    """A view is what the networks are shown of a page: its material, upright, at the size that they know.

    Attributes:
        pixels: uint8 (H, W, 3).
        scale: pixels of the view for one pixel of the page.
        left: of the view, in pixels of the page after it was turned.
        top: likewise.
        quarter_turns: by which the page was turned counterclockwise before.
        is_negative: its light and dark were exchanged before.
        gutter: points (x, y) between two leaves from the top down, in pixels of the turned page; none of a
            page with one leaf.
    """

    pixels: NDArray[np.uint8]
    scale: float
    left: int = 0
    top: int = 0
    quarter_turns: int = 0
    is_negative: bool = False
    gutter: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PageImage:
    """This is a decoded page.

    Attributes:
        pixels: uint8 (H, W, 3), upright, at working resolution.
        width: of the original, upright page, in pixels.
        height: likewise.
        finer: gives the pixels with so many along the long side; None where these are all there are.
        view: what is to be read of it; None if nobody has looked yet.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    finer: Callable[[int], NDArray[np.uint8]] | None = None
    view: View | None = None

    @property
    def scale(self) -> float:
        """Give the number of working pixels for one pixel of the original."""
        return float(self.pixels.shape[0] / self.height)


class Role(StrEnum):
    """A role is what a character belongs to; margin is the edge of a leaf, where titles stand at the fold."""

    MAIN = "main"
    FURIGANA = "furigana"
    NOTE = "note"
    MARGIN = "margin"


#: Roles of what is read as the text; the others stand beside it.
IN_TEXT = frozenset({Role.MAIN, Role.NOTE})


@dataclass(frozen=True, slots=True)
class Character:
    """A character is a box with its label and its place on the page.

    Attributes:
        confidence: probability of the label, in [0, 1].
        alternatives: the next-best (label, probability), best first.
        column_number: from 0, counted from the right-hand edge of the page.
        leaf: on which it stands, from 0, as `Reading.leaves` counts them.
        role: what it belongs to.
        base: position on the page of the character that it is furigana of; None for all others.
    """

    box: Box
    label: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...] = ()
    column_number: int = 0
    leaf: int = 0
    role: Role = Role.MAIN
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf is one page side of a book on a photograph.

    Attributes:
        outline: corners (x, y) in pixels of the photograph.
        turned: degrees by which the photograph was turned counterclockwise to read it: 0, 90, 180 or 270.
        is_negative: light and dark were exchanged to read it.
        scale: pixels at which it was read for one pixel of the photograph.
    """

    outline: tuple[tuple[int, int], ...]
    turned: int = 0
    is_negative: bool = False
    scale: float = 1.0


def column_texts(characters: Sequence[Character]) -> tuple[str, ...]:
    """Give the labels of each column of the text, without furigana and margin, from characters in order."""
    text = (character for character in characters if character.role in IN_TEXT)
    columns = groupby(text, key=lambda character: character.column_number)
    return tuple("".join(character.label for character in column) for _, column in columns)


class Suspicion(StrEnum):
    """A suspicion says why a reading should be looked at; its value is what people are told."""

    SCROLL = "long as a scroll"
    NEGATIVE = "white on black"
    TURNED = "columns run across"
    FEW = "few characters for its ink"
    UNSURE = "low confidence"
    TINY = "tiny characters"


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading holds what was read on one page.

    Attributes:
        mask: bool (H, W) at working resolution, true where a character stands.
        characters: in reading order.
        width: of the original, upright page, in pixels.
        height: likewise.
        timings_s: seconds that each stage took for this page.
        suspicions: why it should be looked at; none of most pages.
        leaves: the first read first; none of a page that was read whole and as it is.
    """

    mask: NDArray[np.bool_]
    characters: tuple[Character, ...]
    width: int
    height: int
    timings_s: Mapping[str, float] = field(default_factory=dict)
    suspicions: tuple[Suspicion, ...] = ()
    leaves: tuple[Leaf, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Give the labels of each column from top to bottom, the rightmost column first."""
        return column_texts(self.characters)

    @property
    def text(self) -> str:
        """Give the labels in reading order, a line for each column."""
        return "\n".join(self.columns)

    @property
    def mean_confidence(self) -> float | None:
        """Give the mean probability of the labels; None on a page without characters."""
        if not self.characters:
            return None
        return sum(character.confidence for character in self.characters) / len(self.characters)


class ReadsPages(Protocol):
    """This is what may be asked of whatever reads pages, such as `PageReader` (recognition/reader.py)."""

    @property
    def long_side(self) -> int: ...

    def read(self, pages: Sequence[PageImage], /) -> list[Reading]: ...


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """This is an entry of a page's truth: a box and the character, or the line, that people read in it."""

    box: Box
    label: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Truth is what people say is on a page.

    Attributes:
        boxes: main-text characters, editorial marks dropped; None if they are not known.
        mask_png: a mask image as PNG bytes, white where characters stand; None if there is none.
        is_partial: some characters lack a box: precision cannot be told from it.
        is_ordered: the boxes stand in reading order. The store does not keep this.
        text: what stands on the page, in reading order, with or without line breaks and marks.
        lines: boxes of lines of text, each with its text, or without where only the box is known.
    """

    boxes: tuple[LabelledBox, ...] | None = None
    mask_png: bytes | None = None
    is_partial: bool = False
    is_ordered: bool = False
    text: str | None = None
    lines: tuple[LabelledBox, ...] | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores are counts that compare a reading with its truth; ratios come after pooling (metrics.py).

    Attributes:
        pixel_tp, pixel_fp, pixel_fn, pixel_tn: mask pixels at working resolution;
            None when the truth is partial.
        n_truth: truth boxes; None when the truth is only a mask.
        n_found: found boxes; None when the truth is partial or only a mask.
        n_matched: found boxes whose centre lies inside a truth box, one to one.
        n_right: matched boxes with the right label, old and new kanji counted as the same.
        n_right_as_written: matched boxes with exactly the label of the truth.
        n_text_truth, n_text_found, n_text_common, text_distance: of the text, as `TextCounts` has them;
            None when the truth is partial or has none.
        n_lines: boxes of lines in the truth; None without.
        n_lines_found: those that hold the centre of a found box.
        n_in_lines: found boxes whose centre a line holds; None when the truth is partial, as the next.
        n_reported: all found boxes, where the truth has lines.
    """

    pixel_tp: int | None = None
    pixel_fp: int | None = None
    pixel_fn: int | None = None
    pixel_tn: int | None = None
    n_truth: int | None = None
    n_found: int | None = None
    n_matched: int | None = None
    n_right: int | None = None
    n_right_as_written: int | None = None
    n_text_truth: int | None = None
    n_text_found: int | None = None
    n_text_common: int | None = None
    text_distance: int | None = None
    n_lines: int | None = None
    n_lines_found: int | None = None
    n_in_lines: int | None = None
    n_reported: int | None = None
