"""This module takes out of a PNG file what is not its pixels and may be larger than Pillow allows."""

from __future__ import annotations

import struct

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGE_BYTES = 64 << 10
#: In these the way up can be written.
_WITH_ORIENTATION = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")


def without_metadata(data: bytes) -> bytes:
    """Leave out of a PNG file its colour profile and its texts, except what can say which way is up.

    Pillow refuses a whole file for such a chunk of more than a megabyte, though nothing here asks for it.
    """
    if not data.startswith(_SIGNATURE):
        return data
    kept, place, from_here = [], len(_SIGNATURE), 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, place)
        end = place + 12 + length
        if end > len(data):
            break  # cut off; who decodes it says so
        if _is_dropped(kind, data[place + 8 : place + 40], length):
            kept.append(data[from_here:place])
            from_here = end
        place = end
    return b"".join([*kept, data[from_here:]]) if kept else data


def _is_dropped(kind: bytes, start: bytes, length: int) -> bool:
    if kind == b"iCCP":
        return True
    is_text = kind in (b"tEXt", b"zTXt", b"iTXt")
    return is_text and (length > _LARGE_BYTES or not start.startswith(_WITH_ORIENTATION))
