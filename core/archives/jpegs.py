"""This module tells a JPEG file whose end is missing from one that has all its pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.errors import PageError

_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
#: Any bits that are not all alike will do; no byte of them begins a marker.
_NOISE = bytes(number * 89 % 251 for number in range(1, 4097))
#: What libjpeg makes of pixels for which there are no bits.
_MISSING_LEVEL = 128


def with_end(data: bytes) -> bytes:
    """Give a JPEG file with its end mark; one that lacks it and no pixel gets it.

    Raises:
        PageError: pixels are missing.
    """
    if not data.startswith(b"\xff\xd8") or data.endswith(_END):
        return data
    if data.rfind(_END) > data.rfind(_SCAN) or _SCAN not in data:
        return data  # something stands behind its end, as some cameras write it; or it has no pixels at all
    # A download that stopped can have the length of the whole file, the rest of it zeros.
    body = data.rstrip(b"\0") if data.endswith(bytes(512)) else data
    check_whole(body)
    return body.rstrip(b"\xff") + _END


def looks_cut(image: Image.Image) -> bool:
    """Tell whether the lowest row of a decoded JPEG is the grey that stands for missing pixels."""
    lowest = image.crop((0, image.height - 1, image.width, image.height)).getextrema()
    pairs = lowest if isinstance(lowest[0], tuple) else (lowest,)
    return all(pair == (_MISSING_LEVEL, _MISSING_LEVEL) for pair in pairs)


def check_whole(data: bytes) -> None:
    """Decode a JPEG file with nothing and with noise behind its data: where that differs, pixels are missing.

    Raises:
        PageError: it says how many rows are.
    """
    end = data.rfind(_END)
    body = data[:end] if end > data.rfind(_SCAN) else data
    body = body.rstrip(b"\xff")
    try:
        differs = (_grey(body + _END) != _grey(body + _NOISE + _END)).any(axis=1)
    except (OSError, SyntaxError, ValueError, struct.error):
        return  # damaged; who decodes it says how
    if differs.any():
        n_missing = len(differs) - int(differs.argmax())
        raise PageError(
            f"the image is cut off: of its {len(differs):,} rows the lowest {n_missing:,} are missing;"
            " copy it again from its source"
        )


def _grey(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L"))
