"""This module chooses in which size to ask a IIIF Image API (2 or 3) for an image: info.json tells which.

A reading works on pages of some 1,200 pixels; the largest size of a library can have ten times as many.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fumikura.core.archives.documents import fetch
from fumikura.core.archives.urls import WebAddress, parse_address
from fumikura.core.errors import ArchiveError
from fumikura.core.limits import Limits

#: Of the image that is asked for, in pixels: each leaf of an opening still has what a reading works with.
LONG_SIDE = 2400

#: Of the Image API before version 2, whose files are called otherwise.
_OLD = ("/image/1", "image-api/1")


def image_address(service: str, address: str, limits: Limits) -> WebAddress:
    """Give the address of an image with a long side of LONG_SIDE pixels, the whole if it is smaller.

    Args:
        service: of the Image API, as a manifest gives it.
        address: of the image in some size, for a service that does not describe itself.

    Raises:
        ArchiveError: the manifest's addresses are none of the web.
        StorageError: the server does not answer.
    """
    base = parse_address(service.rstrip("/"))
    try:
        info = _info(parse_address(f"{base.text}/info.json"), limits)
    except (FileNotFoundError, ArchiveError, ValueError):
        return parse_address(address)
    size = _size(info)
    return parse_address(address) if size is None else WebAddress(f"{base.text}/full/{size}/0/default.jpg")


@lru_cache(maxsize=256)
def _info(address: WebAddress, limits: Limits) -> Mapping[str, Any]:
    info = json.loads(fetch(address, limits))
    if not isinstance(info, dict):
        raise ValueError("no description of an image")
    return info


def _size(info: Mapping[str, Any]) -> str | None:
    """Choose the size part of an Image API's address; None if the description does not help."""
    width, height = _number(info, "width"), _number(info, "height")
    context = str(info.get("@context"))
    if not width or not height or any(version in context for version in _OLD):
        return None
    whole = "max" if "/image/3/" in context else "full"
    if max(width, height) <= LONG_SIDE:
        return whole
    scaled = round(width * LONG_SIDE / max(width, height))
    if not _is_level_0(info):
        most = _number(info, "maxWidth") or scaled
        # Both sides are given by version 3 alone; of version 2, `w,` is the canonical form.
        wide = min(scaled, most)
        return f"{wide}," if whole == "full" else f"{wide},{max(1, round(height * wide / width))}"
    sizes = [size for size in info.get("sizes") or () if isinstance(size, dict)]
    ready = sorted((_number(size, "width"), _number(size, "height")) for size in sizes)
    enough = [size for size in ready if max(size) >= LONG_SIDE] or ready[-1:]
    if not enough or not min(enough[0]):
        return whole
    return f"{enough[0][0]}," if whole == "full" else f"{enough[0][0]},{enough[0][1]}"


def _is_level_0(info: Mapping[str, Any]) -> bool:
    """Tell whether a service has nothing but the sizes that it lists."""
    profile = info.get("profile")
    first = profile[0] if isinstance(profile, list) and profile else profile
    return not isinstance(first, str) or "level0" in first


def _number(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) and value > 0 else 0
