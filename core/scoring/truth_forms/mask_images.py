"""This module reads mask images: white where characters stand."""

from __future__ import annotations

import io
from pathlib import Path

from fumikura.core.errors import TruthError
from fumikura.core.page import Truth

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def read(path: Path) -> dict[str, Truth]:
    """Read a mask as a 1-bit PNG, small enough to travel in the database.

    Raises:
        TruthError: it is no image.
    """
    from PIL import Image  # only masks need it, and `enqueue` starts faster without

    out = io.BytesIO()
    try:
        with Image.open(path, formats=("PNG", "JPEG", "TIFF")) as image:
            grey = image.convert("L")
    except (OSError, SyntaxError, ValueError) as error:
        raise TruthError(f"{path} is no mask image ({error}); save it as PNG") from error
    grey.point(lambda value: 255 * (value >= 128), mode="1").save(out, "PNG", optimize=True)
    return {path.stem: Truth(mask_png=out.getvalue())}
