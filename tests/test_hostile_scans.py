"""A page is read as its file says, however odd that is, or fails with its reason."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from fumikura.core.archives.images import decode
from fumikura.core.errors import PageError
from tests.hostile_scans import INK, PAPER, SHOWS_THE_PAGE, scans

SCANS = {name: (data, right) for name, data, right in scans()}


def outcome(data: bytes) -> NDArray[np.uint8] | str:
    """The pixels, or why there are none; whatever else is raised fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd files
            return decode(data, long_side=None, max_pixels=10**7).pixels
    except PageError as error:
        return str(error)


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_shows_its_page_or_fails_with_the_reason(name: str) -> None:
    data, right = SCANS[name]

    found = outcome(data)

    if isinstance(found, str):
        assert right, found
        assert right in found
        return
    assert right in (SHOWS_THE_PAGE, "white paper")
    paper = 255 if right else PAPER
    assert found[2, 2].tolist() == pytest.approx([paper] * 3, abs=4)
    assert found[-2, -2].tolist() == pytest.approx([paper] * 3, abs=4)
    assert found[20, 24].tolist() == pytest.approx([INK] * 3, abs=4)
