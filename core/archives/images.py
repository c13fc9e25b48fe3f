"""This module decodes an image into upright pixels, or says why the page cannot be read."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops
from PIL.TiffImagePlugin import TiffImageFile

from fumikura.core.archives import jpegs, tiffs
from fumikura.core.archives.kinds import PAGE_FORMATS, is_heic, other_kind
from fumikura.core.archives.pngs import without_metadata
from fumikura.core.errors import PageError
from fumikura.core.page import PageImage

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "AVIF")
_HEIC = "HEIF"
MIN_SIDE = 16

# Pillow's own limit is one for the whole process, and only warns up to twice its value.
# `_check_size` is ours: from the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

_PNG = b"\x89PNG"
_JPEGS = ("JPEG", "MPO")  # MPO: a JPEG with more than one image

# What Pillow's decoders raise on damaged files; found by feeding it damaged files.
_DAMAGES = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error)

_LARGE = threading.Lock()
_LARGE_PIXELS = 25_000_000
_BAND_HEIGHT = 256

_ORIENTATION_TAG = 0x0112
_BITS_TAG = 0x0102
_PHOTOMETRIC_TAG = 0x0106
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
        data: a file of one of FORMATS; or an image that is open, which stays as it is.

    Raises:
        PageError: the reason, in words for a librarian.
    """
    try:
        file = _file_of(data) if isinstance(data, Image.Image) else data
        image = data.copy() if file is None and isinstance(data, Image.Image) else _open(file or b"")
        _check_size(image, min_side, max_pixels)
        page = _read(image, long_side)
        if long_side is not None:
            page = replace(page, finer=partial(_pixels_of, file or image))
        if file is not None and image.format in _JPEGS and jpegs.looks_cut(image):
            jpegs.check_whole(file)
        return page
    except _DAMAGES as error:
        raise PageError(_explain_damage(error)) from error


def _pixels_of(data: bytes | Image.Image, long_side: int) -> NDArray[np.uint8]:
    """Decode an image again that was found sound, with so many pixels along its long side."""
    image = data.copy() if isinstance(data, Image.Image) else _open(data)
    return _read(image, long_side).pixels


def _file_of(image: Image.Image) -> bytes | None:
    """Give the file of an image, if it is a scan's and none of its pixels was asked for yet."""
    file = getattr(image, "fp", None)
    if file is None or image.format not in (*FORMATS, *_JPEGS, _HEIC):
        return None
    place = file.tell()
    file.seek(0)
    data: bytes = file.read()
    file.seek(place)
    return data


def _open(data: bytes) -> Image.Image:
    if not data:
        raise PageError("the file is empty; copy it again from its source")
    if tiffs.is_tiff(data):
        data = tiffs.with_page_first(data)
    try:
        image = _open_heic(data) if is_heic(data) else _open_common(data)
    except _DAMAGES as error:
        raise PageError(_explain_no_image(data, error)) from error
    if image.format in ("GIF", "WEBP", "AVIF") and (n_frames := getattr(image, "n_frames", 1)) > 1:
        raise PageError(f"an animation of {n_frames} images; save the page as one image")
    return image


def _open_common(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(without_metadata(jpegs.with_end(data))), formats=FORMATS)


def _open_heic(data: bytes) -> Image.Image:
    try:
        from pillow_heif import register_heif_opener  # not above: few have such pages, and it is an extra
    except ImportError as error:
        raise PageError(
            "HEIC needs another package (pip install 'fumikura[heic]'); or convert the page to PNG or TIFF"
        ) from error
    register_heif_opener(thumbnails=False)
    return Image.open(io.BytesIO(data), formats=[_HEIC])


def _explain_no_image(data: bytes, error: Exception) -> str:
    """Say what is in a file that is no image: often the error page of a failed download."""
    if tiffs.is_tiff(data):
        return tiffs.unread_kind(data)
    if data.startswith(_PNG) and "large" in str(error):
        return f"its texts are too large to read ({error}); save the image without them"
    if data.startswith(b"RIFF") and len(data) < (n_bytes := 8 + int.from_bytes(data[4:8], "little")):
        return f"the image is cut off: {len(data):,} of its {n_bytes:,} bytes are there; copy it again"
    if kind := other_kind("", data[:64]):
        return f"not an image that is read, but {kind[0]}; save the page as PNG or TIFF"
    words = data[:200].decode(errors="replace").rstrip("\N{REPLACEMENT CHARACTER}").split()
    shown = " ".join(words)
    if shown.isprintable() and shown and "\N{REPLACEMENT CHARACTER}" not in shown:
        return f"not an image but a text that begins {shown[:40]!r}; copy the page again from its source"
    return f"none of {PAGE_FORMATS}, or damaged at its very beginning; copy it again or convert it"


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

    if image.width * image.height > _LARGE_PIXELS:
        # By a whole number first, which leaves the filter enough: a second copy would be as large.
        factor = int(min(image.width / size[0], image.height / size[1]) / 2)
        image = image.reduce(factor) if factor > 1 else image
    pixels = torch.from_numpy(_array(image)).unsqueeze(0).permute(0, 3, 1, 2)
    resized = interpolate(pixels, size=size[::-1], mode="bicubic", antialias=True)  # (1, 1 or 3, H, W)
    return Image.fromarray(resized[0].permute(1, 2, 0).squeeze(2).numpy())


def _array(image: Image.Image) -> NDArray[np.uint8]:
    """Copy an image of mode L or RGB to an array, (H, W, 1 or 3)."""
    array = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    # In bands: numpy and Pillow together would hold a large image twice more for a moment.
    for top in range(0, image.height, _BAND_HEIGHT):
        bottom = min(top + _BAND_HEIGHT, image.height)
        band = np.asarray(image.crop((0, top, image.width, bottom)))
        array[top:bottom] = band.reshape(bottom - top, image.width, -1)
    return array


def to_8_bits(image: Image.Image) -> Image.Image:
    """Convert an image to mode L or RGB, its transparent parts to white.

    Raises:
        PageError: it has 32 bits a pixel, or is transparent all over and of one colour.
    """
    if image.mode.startswith("I;16"):
        return _grey_of_16_bits(image)
    if image.mode in ("I", "F"):
        raise PageError("the image has 32 bits a pixel; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        return _on_paper(image)
    if image.mode == "CMYK" and image.format in _JPEGS and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes for granted that such files are Adobe's, inverted
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _grey_of_16_bits(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    bits, photometric = 16, None
    if isinstance(image, TiffImageFile):
        bits, photometric = image.tag_v2[_BITS_TAG][0], image.tag_v2.get(_PHOTOMETRIC_TAG)
    highest = int(levels.max())
    # Nothing is as bright as a sixteenth of white: levels of fewer bits in a larger container.
    if bits == 16 and highest < 1 << 12:
        bits = next(fewer for fewer in (8, 10, 12) if highest < 1 << fewer)
    grey = (levels >> (bits - 8)).astype(np.uint8)
    if photometric == 0:
        grey = 255 - grey  # Pillow turns black and white for fewer bits only
    if (clear := image.info.get("transparency")) is not None:
        grey[levels == clear] = 255
    return Image.fromarray(grey)


def _on_paper(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, its transparent parts to white; transparent all over, it shows its colours."""
    if isinstance(image.info.get("transparency"), tuple) and max(image.info["transparency"]) > 255:
        raise PageError("the image has a transparent colour of 16 bits; save it without transparency")
    whole = Image.new("RGB", image.size)
    most_opaque = 0
    # In bands: four copies of a large image at once would take gigabytes.
    for top in range(0, image.height, _BAND_HEIGHT):
        band = image.crop((0, top, image.width, min(top + _BAND_HEIGHT, image.height))).convert("RGBA")
        most_opaque = max(most_opaque, int(np.asarray(band.getchannel("A")).max()))
        paper = Image.new("RGBA", band.size, "white")
        whole.paste(Image.alpha_composite(paper, band).convert("RGB"), (0, top))
    return whole if most_opaque else _without_transparency(image)


def _without_transparency(image: Image.Image) -> Image.Image:
    """Show the colours of an image that is transparent all over: some scanners leave that channel empty."""
    opaque = image.copy()
    opaque.info.pop("transparency", None)
    shown = (opaque if opaque.mode != "La" else opaque.convert("LA")).convert("RGB")
    if len(shown.getcolors(2) or ()) == 1:
        raise PageError("the image is transparent all over; save it without transparency")
    return shown
