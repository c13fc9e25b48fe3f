"""A worker process of the chaos suite: reads pages in earnest, but for those that poison it.

As a program, a child of `tests.chaos.launcher`. CHAOS_QUICK=1 in the environment puts a reader without
networks in the place of the real one; CHAOS_READ_LOG names a file with a line for each page read.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fumikura.core.page import Box, Character, PageImage, Reading
from fumikura.core.recognition.recipe import Parameters, Recipe, recipe_of
from fumikura.core.settings import Settings
from fumikura.worker import worker_process
from fumikura.worker.stream import RecipeReader

COMMAND = (sys.executable, "-m", "tests.chaos.worker")

#: Whole pages of one colour, and what reading them does.
POISONS = {
    "crashes": (255, 0, 0),
    "hangs": (0, 255, 0),
    "eats memory": (255, 255, 0),
    "asks for too much memory": (0, 0, 255),
}

QUICK_RECIPE = Recipe("1" * 64, "2" * 64, Parameters(long_side=64))

_GREED_BYTES = 300_000_000


class PoisonedReader:
    """Another reader, which some pages do not leave alive."""

    def __init__(self, reader: RecipeReader) -> None:
        self._reader = reader

    @property
    def recipe(self) -> Recipe:
        return self._reader.recipe

    @property
    def long_side(self) -> int:
        return self._reader.long_side

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        for page in pages:
            _suffer(tuple(page.pixels[0, 0].tolist()))
        readings = self._reader.read(pages)
        # The page that a worker reads for a trial is half as long, and nobody's.
        with Path(os.environ["CHAOS_READ_LOG"]).open("a") as log:
            log.write("x\n" * sum(max(page.pixels.shape) == self.long_side for page in pages))
        return readings


class QuickReader:
    """Finds characters that depend on the page's pixels alone."""

    recipe = QUICK_RECIPE
    long_side = QUICK_RECIPE.parameters.long_side

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        return [self._read_page(page) for page in pages]

    def _read_page(self, page: PageImage) -> Reading:
        digest = hashlib.sha256(page.pixels.tobytes()).digest()
        characters = tuple(
            Character(Box(x % 50, y % 50, 6, 6), chr(0x3042 + label % 80), 0.9)
            for x, y, label in zip(digest[0:9], digest[9:18], digest[18 : 20 + digest[0] % 8], strict=False)
        )
        return Reading(page.pixels[..., 0] < digest[1], characters, page.width, page.height, {})


def recipe_for(settings: Settings) -> Recipe:
    return QUICK_RECIPE if os.environ.get("CHAOS_QUICK") else recipe_of(settings)


def load_reader(settings: Settings, device: str) -> PoisonedReader:
    if os.environ.get("CHAOS_QUICK"):
        import torch  # noqa: F401  # it resizes pages; loading it must not count as a page's time

        return PoisonedReader(QuickReader())
    from fumikura.core.recognition.reader import load_reader as load_real_reader

    return PoisonedReader(load_real_reader(settings, device))


def _suffer(colour: tuple[int, ...]) -> None:
    if colour == POISONS["crashes"]:
        ctypes.string_at(0)  # a segmentation fault, as in a decoder's C code
    if colour == POISONS["hangs"]:
        re.match(r"(a+)+$", "a" * 64 + "b")  # for ages, and holding the interpreter's lock
    if colour == POISONS["eats memory"]:
        greed = np.ones(_GREED_BYTES, np.uint8)
        # What the kernel does when memory runs out. To let it run out would harm whatever else runs here.
        os.kill(os.getpid(), signal.SIGKILL)
        del greed
    if colour == POISONS["asks for too much memory"]:
        np.ones(1 << 60, np.uint8)  # MemoryError, as nobody has an exbibyte


if __name__ == "__main__":
    sys.exit(worker_process.main(load_reader))
