"""This module cuts characters out, into a folder for each label: the next training set.

The form is that of Kuzushiji-Kanji: `U+304B/PAGE_0001.png`, squares of one size.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import torch
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.scans import read_scan
from fumikura.core.export.codh import code_point
from fumikura.core.export.formats import Format, Style
from fumikura.core.read_page import ReadPage
from fumikura.core.recognition.crops import cut_crops

#: Side of a crop in pixels, as the classifier that ships sees it.
SIDE = 64


def files(page: ReadPage, name: str, style: Style) -> Iterator[tuple[str, bytes]]:
    """Give a grey PNG for each character, cut from the scan as the reader cuts it.

    Raises:
        PageError: the scan is gone or cannot be read.
    """
    if not page.characters:
        return
    image = decode(
        read_scan(page.sources, page.digest, limits=style.limits), long_side=None, max_pixels=style.max_pixels
    )
    boxes = [(one.box.x, one.box.y, one.box.width, one.box.height) for one in page.characters]
    pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)  # (3, H, W)
    crops = cut_crops([pixels], [torch.tensor(boxes).float()], side=SIDE)  # (M, 1, S, S)
    grey = crops[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    for position, character, crop in zip(page.positions, page.characters, grey, strict=True):
        png = io.BytesIO()
        Image.fromarray(crop).save(png, "PNG")
        yield f"{code_point(character.label)}/{name}_{position + 1:04}.png", png.getvalue()


FORMAT = Format(extents=("page",), files=files)
