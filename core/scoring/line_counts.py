"""This module compares found characters with lines of text, where people boxed no more than these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fumikura.core.page import Box


@dataclass(frozen=True, slots=True)
class LineCounts:
    """These counts compare characters with lines.

    Attributes:
        n_lines: boxes of lines.
        n_lines_found: lines that hold the centre of a found character.
        n_in_lines: found characters whose centre a line holds.
    """

    n_lines: int
    n_lines_found: int
    n_in_lines: int


def count_lines(found: Sequence[Box], lines: Sequence[Box]) -> LineCounts:
    """Count the characters in lines, and the lines with characters."""
    if not found or not lines:
        return LineCounts(len(lines), 0, 0)
    centres = np.array([box.centre for box in found])[:, None]  # (M, 1, 2) as (y, x)
    corners = np.array([(box.y, box.x) for box in lines])
    sizes = np.array([(box.height, box.width) for box in lines])
    is_in = ((centres >= corners) & (centres < corners + sizes)).all(axis=2)  # (M, L)
    return LineCounts(len(lines), int(is_in.any(axis=0).sum()), int(is_in.any(axis=1).sum()))
