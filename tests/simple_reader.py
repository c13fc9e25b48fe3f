"""A reader that needs no weights and does what a page's colour says; as a program, a worker with it.

The environment says how long a page takes (SIMPLE_PAGE_S) and where each page read is noted
(SIMPLE_READ_LOG, a line a page: its width). SIMPLE_BROKEN makes it end on whatever it reads.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fumikura.core.page import Box, Character, PageImage, PageReference, Reading
from fumikura.core.recognition.recipe import Parameters, Recipe
from fumikura.core.settings import Settings
from fumikura.worker import worker_process

COMMAND = (sys.executable, __file__)

#: Of pages that are narrower: they need no resizing, and no worker has to import torch for it.
HEIGHT = 200
RECIPE = Recipe("1" * 64, "2" * 64, Parameters(long_side=HEIGHT))

PAPER = (240, 230, 210)
KILLS = (255, 0, 0)
HANGS = (0, 255, 0)
RAISES = (0, 0, 255)
FILLS_MEMORY = (255, 255, 0)
BREAKS_DEVICE = (0, 255, 255)
#: The paper of the page that a worker reads before others' pages.
TRIAL = (255, 255, 255)


class SimpleReader:
    """Finds two characters on every page."""

    recipe = RECIPE
    long_side = HEIGHT

    def __init__(self) -> None:
        self.group_sizes: list[int] = []

    def read(self, pages: Sequence[PageImage]) -> list[Reading]:
        self.group_sizes.append(len(pages))
        return [self._read_page(page) for page in pages]

    def _read_page(self, page: PageImage) -> Reading:
        colour = tuple(page.pixels[0, 0].tolist())
        _act(colour)
        if colour != TRIAL:
            time.sleep(float(os.environ.get("SIMPLE_PAGE_S", "0")))
        if colour != TRIAL and "SIMPLE_READ_LOG" in os.environ:
            with Path(os.environ["SIMPLE_READ_LOG"]).open("a") as log:
                log.write(f"{page.width}\n")
        characters = (
            Character(Box(4, 2, 6, 6), "人", 0.9, (("入", 0.05),)),
            Character(Box(4, 10, 6, 6), "口", 0.8),
        )
        mask = np.zeros(page.pixels.shape[:2], bool)
        return Reading(mask, characters, page.width, page.height, {"segment": 0.01})


def _act(colour: tuple[int, ...]) -> None:
    if colour == KILLS or "SIMPLE_BROKEN" in os.environ:
        os._exit(9)
    if colour == HANGS:
        time.sleep(3600)
    if colour == RAISES:
        raise RuntimeError("blue pages cannot be read")
    if colour == FILLS_MEMORY:
        raise MemoryError
    if colour == BREAKS_DEVICE:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def load_simple_reader(settings: Settings, device: str) -> SimpleReader:  # noqa: ARG001
    return SimpleReader()


def draw_pages(folder: Path, n_pages: int, **colours: tuple[int, int, int]) -> list[PageReference]:
    """Write pages of one colour, each of another width.

    Args:
        colours: of pages that are not of paper: `page_3=KILLS`.
    """
    folder.mkdir(exist_ok=True)
    pages = []
    for number in range(n_pages):
        path = folder / f"page_{number}.png"
        Image.new("RGB", (100 + number, HEIGHT), colours.get(path.stem, PAPER)).save(path)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        pages.append(PageReference(str(folder), path.name, digest, len(data), folder.name))
    return pages


if __name__ == "__main__":
    sys.exit(worker_process.main(load_simple_reader))
