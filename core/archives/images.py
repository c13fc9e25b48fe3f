"""This module decodes an image into upright pixels, or says why the page cannot be read."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from contextlib import nullcontext

import numpy as np
from PIL import Image, TiffImagePlugin

from fumikura.core.errors import PageError
from fumikura.core.page import PageImage

FORMATS = ("JPEG", "PNG", "TIFF")
MIN_SIDE = 16

# Pillow's own limit is one for the whole process, and only warns up to twice its value.
# `_check_size` is ours: from the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's decoders raise on damaged files; found by feeding it damaged files.
_DAMAGES = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error)

_LARGE = threading.Lock()
_LARGE_PIXELS = 25_000_000
_BAND_HEIGHT = 256

_ORIENTATION_TAG = 0x0112
_SUBFILE_TAG = 0x00FE
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


def decode(
    data: bytes | Image.Image, *, long_side: int | None, max_pixels: int, min_side: int = MIN_SIDE
) -> PageImage:
    """Give the page upright, in RGB, its long side resized to `long_side` pixels; None leaves it as it is.

    A smaller page is enlarged, so that its characters have their usual size.

    Args:
        data: a JPEG, PNG or TIFF file; or an image that is open, which stays as it is.

    Raises:
        PageError: the reason, in words for a librarian.
    """
    try:
        image = _reopened(data) if isinstance(data, Image.Image) else _open(data)
        _check_size(image, min_side, max_pixels)
        return _read(image.copy() if image is data else image, long_side)
    except _DAMAGES as error:
        raise PageError(_explain_damage(error)) from error


def _reopened(image: Image.Image) -> Image.Image:
    """Open the file of an image once more, if it is a scan's and none of its pixels was asked for yet."""
    file = getattr(image, "fp", None)
    if file is None or image.format not in (*FORMATS, "MPO"):  # a JPEG with more than one image
        return image
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return _open(data)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise PageError("the file is empty; copy it again from its source")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _DAMAGES as error:
        raise PageError(_explain_no_image(data)) from error


def _explain_no_image(data: bytes) -> str:
    """Say what is in a file that is no image: often the error page of a failed download."""
    words = data[:200].decode(errors="replace").rstrip("\N{REPLACEMENT CHARACTER}").split()
    shown = " ".join(words)
    if shown.isprintable() and shown and "\N{REPLACEMENT CHARACTER}" not in shown:
        return f"not an image but a text that begins {shown[:40]!r}; copy the page again from its source"
    return "not a JPEG, PNG or TIFF image, or damaged at its very beginning; copy it again or convert it"


def _explain_damage(error: Exception) -> str:
    if "truncated" in str(error) or isinstance(error, EOFError):
        return "the image is cut off, its end is missing; copy it again from its source"
    return f"the image is damaged ({error}); copy it again from its source"


def _check_size(image: Image.Image, min_side: int, max_pixels: int) -> None:
    width, height = image.size
    if min(width, height) < min_side:
        raise PageError(f"the image has only {width} × {height} pixels; no side may be under {min_side}")
    if width * height > max_pixels:
        raise PageError(
            f"the image has {width} × {height} pixels, more than {max_pixels:,} in all;"
            " make it smaller, or raise FUMIKURA_MAX_PIXELS"
        )


def _read(image: Image.Image, long_side: int | None) -> PageImage:
    _check_single(image)
    width, height = image.size
    size = scaled(width, height, long_side or max(width, height))
    image.draft(None, size)  # a JPEG decodes at 1/2, 1/4 or 1/8 when that is still large enough
    # What is not a JPEG decodes whole: of several large pages at once, one waits for the other.
    with _LARGE if image.size[0] * image.size[1] > _LARGE_PIXELS else nullcontext():
        return _read_pixels(image, width, height, size)


def scaled(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Give width and height when the longer of them has so many pixels."""
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _read_pixels(image: Image.Image, width: int, height: int, size: tuple[int, int]) -> PageImage:
    image.load()
    # Asked only now: Pillow turns a TIFF upright while it loads it, and says so by dropping the tag.
    orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    small = _resized(to_8_bits(image), size).convert("RGB")
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    if orientation in _SIDEWAYS:
        width, height = height, width
    return PageImage(np.array(small), width, height)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize as Pillow does (bicubic; values differ by little more than rounding), in a fifth of the time."""
    if image.size == size:
        return image
    # Imported here: who only looks at whole pages (`fumikura show`) need not wait for it.
    import torch
    from torch.nn.functional import interpolate

    pixels = torch.from_numpy(np.array(image)).view(1, image.height, image.width, -1).permute(0, 3, 1, 2)
    resized = interpolate(pixels, size=size[::-1], mode="bicubic", antialias=True)  # (1, 1 or 3, H, W)
    return Image.fromarray(resized[0].permute(1, 2, 0).squeeze(2).numpy())


def _check_single(image: Image.Image) -> None:
    """Refuse a TIFF of several pages, of which all but the first would be lost in silence."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    n_pages = 0
    for number in range(image.n_frames):
        image.seek(number)
        # Reduced copies of the same page (thumbnails, pyramids) have this tag's first bit set.
        n_pages += not image.tag_v2.get(_SUBFILE_TAG, 0) & 1
    if n_pages > 1:
        raise PageError(f"the TIFF file holds {n_pages} pages; split it into one file a page")
    image.seek(0)


def to_8_bits(image: Image.Image) -> Image.Image:
    """Convert an image to mode L or RGB, its transparent parts to white.

    Raises:
        PageError: it has 32 bits a pixel.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise PageError("the image has 32 bits a pixel; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        return _on_paper(image)
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _on_paper(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, its transparent parts to white."""
    whole = Image.new("RGB", image.size)
    # In bands: four copies of a large image at once would take gigabytes.
    for top in range(0, image.height, _BAND_HEIGHT):
        band = image.crop((0, top, image.width, min(top + _BAND_HEIGHT, image.height))).convert("RGBA")
        paper = Image.new("RGBA", band.size, "white")
        whole.paste(Image.alpha_composite(paper, band).convert("RGB"), (0, top))
    return whole
