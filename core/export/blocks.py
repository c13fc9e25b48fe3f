"""This module parts a page into leaves, and a leaf into its text, its furigana and its margin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from fumikura.core.page import IN_TEXT, Character, Role
from fumikura.core.read_page import ReadPage

Column = tuple[Character, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block is what belongs together on a leaf.

    Attributes:
        number: of the block on its page, from 1.
        leaf: from 0.
        role: of its columns; MAIN stands for text with the notes in it.
        columns: with their numbers on the page, from 1.
    """

    number: int
    leaf: int
    role: Role
    columns: tuple[tuple[int, Column], ...]

    @property
    def characters(self) -> list[Character]:
        return [character for _, column in self.columns for character in column]


def blocks(page: ReadPage) -> list[Block]:
    """Give the blocks of a page in reading order; none of a page without characters."""
    grouped = groupby(enumerate(page.columns, start=1), key=lambda one: (one[1][0].leaf, _role(one[1][0])))
    return [
        Block(number, leaf, role, tuple(columns))
        for number, ((leaf, role), columns) in enumerate(grouped, start=1)
    ]


def by_role(column: Column) -> list[tuple[Role, Column]]:
    """Part a column where main text ends and a note begins, or the other way round."""
    return [(role, tuple(some)) for role, some in groupby(column, key=lambda character: character.role)]


def readings(page: ReadPage) -> Mapping[Character, Sequence[Character]]:
    """Give the furigana of each character that has some, from the top down."""
    found: defaultdict[Character, list[Character]] = defaultdict(list)
    if any(character.base is not None for character in page.characters):
        known = dict(zip(page.positions, page.characters, strict=True))
        for character in page.characters:
            if character.base in known:
                found[known[character.base]].append(character)
    return dict(found)


def _role(character: Character) -> Role:
    return Role.MAIN if character.role in IN_TEXT else character.role
