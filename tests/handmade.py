"""Pages and weights made by hand: what is read on them is known beforehand, and reading is quick.

A page holds blots that fade from black in the middle to white at the rim. The segmenter
takes darkness for ink, so that each blot is one character, and the middle its peak.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fumikura.core.page import Box, Character, Reading

#: Pages are small; reading enlarges them, like any page, to the long side of the working resolution.
WIDTH, HEIGHT = 120, 160
LABELS = ("一", "二", "三")
BLOTS_PER_PAGE = 3
#: Side of the box that is found around each blot.
BOX_SIDE = 20


def blots(number: int) -> list[tuple[int, int]]:
    """(y, x) of the middles of a page's blots, the same on no two pages."""
    down, aside = number % 100, number // 100
    shift = aside if aside <= 10 else 10 - aside  # -9 to 10: all boxes stay on the page
    return [(30 + down, x + shift) for x in (100, 60, 20)]


def page_png(number: int) -> bytes:
    """The image of page `number`, 0 to 1999."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distances = [np.hypot(y - middle_y, x - middle_x) for middle_y, middle_x in blots(number)]
    grey = np.minimum(255, 20 * np.min(distances, axis=0)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "PNG")
    return out.getvalue()


def handmade_reading(number: int, labels: str) -> Reading:
    """What is to be read on page `number`, with these labels, and a mask that is true where they stand."""
    half = BOX_SIDE // 2
    boxes = [Box(x - half, y - half, BOX_SIDE, BOX_SIDE) for y, x in blots(number)]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for box in boxes:
        mask[box.y : box.y + box.height, box.x : box.x + box.width] = True
    characters = [
        Character(box, label, 0.9, column_number=column)
        for column, (box, label) in enumerate(zip(boxes, labels, strict=True))
    ]
    return Reading(mask, tuple(characters), WIDTH, HEIGHT)


def write_zip(path: Path, n_pages: int) -> None:
    """An archive of pages named like CODH's, of a book named "book"."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(n_pages):
            archive.writestr(f"book_{number:05}_1.png", page_png(number))


def write_truth(path: Path, n_pages: int) -> None:
    """CODH coordinate CSV of the first pages: a box around each blot, all with the first label."""
    rows = ["Unicode,Image,X,Y,Width,Height"]
    for number in range(n_pages):
        for y, x in blots(number):
            corner = f"{x - BOX_SIDE // 2},{y - BOX_SIDE // 2}"
            rows.append(f"U+{ord(LABELS[0]):X},book_{number:05}_1,{corner},{BOX_SIDE},{BOX_SIDE}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_weights(folder: Path) -> tuple[Path, Path]:
    """The segmenter that takes darkness for ink, and a classifier that nobody trained."""
    import torch

    from fumikura.core.recognition.models.checkpoint import save_classifier, save_segmenter
    from fumikura.core.recognition.models.glyph_net import GlyphNet, GlyphNetConfig
    from fumikura.core.recognition.models.unet import UNet, UNetConfig
    from fumikura.core.recognition.recipe import Parameters

    config = UNetConfig(widths=(1,), bottleneck=1, is_normalised=False)
    unet = UNet(config)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.zero_()
        weights = unet.state_dict()
        weights["encoders.0.0.weight"][0, 0, 1, 1] = -1  # 1 - red is darkness
        weights["encoders.0.0.bias"][0] = 1
        weights["encoders.0.2.weight"][0, 0, 1, 1] = 1
        weights["decoders.0.0.weight"][0, 0, 1, 1] = 1  # the skip connection alone
        weights["decoders.0.2.weight"][0, 0, 1, 1] = 1
        weights["head.weight"][:2, 0, 0, 0] = 20  # mask and centre: darkness above one half
        weights["head.bias"][:2] = -10
        weights["head.bias"][2:] = math.log(BOX_SIDE * Parameters().long_side / HEIGHT)
    segmenter, classifier = folder / "segmenter.safetensors", folder / "classifier.safetensors"
    save_segmenter(segmenter, unet, config)
    torch.manual_seed(1)
    glyphs = GlyphNetConfig(n_classes=len(LABELS), stem=4, widths=(4, 4), blocks=(1, 1), embedding=4)
    save_classifier(classifier, GlyphNet(glyphs), glyphs, LABELS)
    return segmenter, classifier
