"""This module chooses what the networks are shown of a page: which part, which way up, how large.

What is read lies on the view; boxes and masks go back to the page from here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.page import Box, Leaf, PageImage, View
from fumikura.core.recognition.leaves import OPENING, find_gutter, find_material, leaf_outlines
from fumikura.core.recognition.recipe import Parameters

#: A page of so many times its height is a scroll, whose leaves nobody counts.
SCROLL = OPENING[1]
#: Openings and scrolls are not enlarged by more than this.
_MOST_ENLARGED = 1.6


def with_view(page: PageImage, parameters: Parameters) -> PageImage:
    """Choose what is to be read of a page, unless that was done before."""
    return page if page.view is not None else replace(page, view=view_of(page, parameters))


def view_of(
    page: PageImage,
    parameters: Parameters,
    *,
    quarter_turns: int = 0,
    is_negative: bool = False,
    zoom: float = 1.0,
) -> View:
    """Make the view of a page: its material at the resolution that its characters need.

    Two leaves and scrolls get the height that a single page has, everything else the long side. On a single
    scan that fills its image the view is the page.

    Args:
        quarter_turns: to turn the page by first, counterclockwise.
        is_negative: exchange light and dark.
        zoom: times the usual scale.
    """
    turned = np.rot90(page.pixels, quarter_turns)
    found = None if parameters.leaves == "off" else find_material(turned)
    material = Box(0, 0, turned.shape[1], turned.shape[0]) if found is None else found
    gutter: tuple[tuple[float, float], ...] = ()
    if parameters.leaves != "off" and _may_be_opening(material, parameters.leaves):
        cut = turned[material.y : material.y + material.height, material.x : material.x + material.width]
        gutter = find_gutter(cut, must_be=parameters.leaves == "two")
    box = _scaled(material, 1 / page.scale)
    is_wide = bool(gutter) or (parameters.leaves != "off" and box.width > SCROLL * box.height)
    scale = zoom * parameters.long_side / (box.height if is_wide else max(box.width, box.height))
    if is_wide:  # of a ruler or a narrow strip nobody knows the height of its writing
        scale = min(scale, max(_MOST_ENLARGED, page.scale))
    if found is None and not is_wide and zoom == 1:
        pixels, scale, corner = turned, page.scale, (0, 0)
    else:
        pixels, scale, corner = _cut(page, box, scale, quarter_turns)
    return View(
        np.ascontiguousarray(255 - pixels if is_negative else pixels),
        scale,
        *corner,
        quarter_turns=quarter_turns,
        is_negative=is_negative,
        gutter=tuple((round(box.x + x * box.width), round(box.y + y * box.height)) for x, y in gutter),
    )


def _may_be_opening(material: Box, leaves: str) -> bool:
    if leaves == "two":
        return True
    return leaves == "auto" and OPENING[0] <= material.width / material.height <= OPENING[1]


def _scaled(box: Box, scale: float) -> Box:
    left, top = round(box.x * scale), round(box.y * scale)
    return Box(
        left, top, round((box.x + box.width) * scale) - left, round((box.y + box.height) * scale) - top
    )


def _cut(
    page: PageImage, box: Box, scale: float, quarter_turns: int
) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """Cut a box of the turned page out at a scale; return what scale and which corner it became."""
    long_side = max(16, round(scale * max(page.width, page.height)))
    if page.finer is not None:
        whole = page.finer(long_side)
    else:
        image = Image.fromarray(page.pixels)
        share = long_side / max(image.size)
        size = max(1, round(image.width * share)), max(1, round(image.height * share))
        whole = np.array(image.resize(size, Image.Resampling.BICUBIC))
    turned = np.rot90(whole, quarter_turns)
    scale = whole.shape[0] / page.height
    part = _scaled(box, scale)
    pixels = turned[part.y : part.y + part.height, part.x : part.x + part.width]
    return pixels, scale, (round(part.x / scale), round(part.y / scale))


def box_on_page(box: Box, view: View, page: PageImage) -> Box:
    """Turn a box of the turned page back onto the page as it is."""
    x, y, width, height = box.x, box.y, box.width, box.height
    if view.quarter_turns == 1:
        return Box(page.width - y - height, x, height, width)
    if view.quarter_turns == 2:
        return Box(page.width - x - width, page.height - y - height, width, height)
    if view.quarter_turns == 3:
        return Box(y, page.height - x - width, height, width)
    return box


def mask_on_page(mask: NDArray[np.bool_], view: View, page: PageImage) -> NDArray[np.bool_]:
    """Put the mask of a view (H, W) where it belongs on the whole page, at the view's scale."""
    sides = (page.height, page.width) if view.quarter_turns % 2 == 0 else (page.width, page.height)
    height, width = (max(1, round(side * view.scale)) for side in sides)
    top, left = round(view.top * view.scale), round(view.left * view.scale)
    if (top, left) == (0, 0) and abs(mask.shape[0] - height) <= 1 and abs(mask.shape[1] - width) <= 1:
        whole = mask  # sides of working pages are rounded once
    else:
        whole = np.zeros((max(height, top + mask.shape[0]), max(width, left + mask.shape[1])), bool)
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return np.ascontiguousarray(np.rot90(whole, -view.quarter_turns))


def leaf_of(box: Box, view: View) -> int:
    """Tell on which leaf a box of the turned page stands: 0 is right of the gutter, 1 left of it."""
    if not view.gutter:
        return 0
    y, x = box.centre
    xs, ys = zip(*view.gutter, strict=True)
    return int(x < np.interp(y, ys, xs))


def sides_of(view: View, leaf: int) -> tuple[float, float]:
    """Give x of the left and of the right edge of a leaf, on the turned page."""
    left, right = float(view.left), view.left + view.pixels.shape[1] / view.scale
    if view.gutter:
        middle = sum(x for x, _ in view.gutter) / len(view.gutter)
        return (middle, right) if leaf == 0 else (left, middle)
    return left, right


def leaves_of(view: View, page: PageImage) -> tuple[Leaf, ...]:
    """Describe the leaves of a view; none of a page that is read whole and as it is."""
    is_whole = view.pixels.shape[:2] == page.pixels.shape[:2] and view.scale == page.scale
    if is_whole and not (view.gutter or view.is_negative or view.quarter_turns):
        return ()
    height, width = view.pixels.shape[:2]
    material = Box(view.left, view.top, round(width / view.scale), round(height / view.scale))
    return tuple(
        Leaf(
            tuple(_point_on_page(point, view, page) for point in outline),
            turned=90 * view.quarter_turns,
            is_negative=view.is_negative,
            scale=view.scale,
        )
        for outline in leaf_outlines(material, view.gutter)
    )


def _point_on_page(point: tuple[int, int], view: View, page: PageImage) -> tuple[int, int]:
    on_page = box_on_page(Box(*point, 0, 0), view, page)
    return min(max(on_page.x, 0), page.width), min(max(on_page.y, 0), page.height)
