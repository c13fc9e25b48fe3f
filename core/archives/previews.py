"""Give small pictures of pages, for people: a JPEG is decoded no larger than needed."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from fumikura.core.archives.images import decode

#: A preview is cut from a picture of at least so many times its size.
_FINER = 1.5


def preview(data: bytes, *, long_side: int, max_pixels: int) -> Image.Image:
    """Give a page upright, in RGB, at most so large. Its pixels are not those that are read.

    Raises:
        PageError: the page cannot be read.
    """
    image = _drafted(data, long_side) if data.startswith(b"\xff\xd8") else None
    if image is None:
        image = Image.fromarray(decode(data, long_side=None, max_pixels=max_pixels).pixels)
    image.thumbnail((long_side, long_side), reducing_gap=3.0)
    return image


def _drafted(data: bytes, long_side: int) -> Image.Image | None:
    """Decode a JPEG at a half, a quarter or an eighth; None if it is damaged or of unusual colours."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            finer = round(_FINER * long_side)
            image.draft("RGB", (finer, finer))
            if image.mode not in ("L", "RGB"):
                return None
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
