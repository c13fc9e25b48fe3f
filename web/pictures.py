"""Give pictures of pages: whole, small, or a part. What was decoded is kept for a while, up to a limit."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.previews import preview
from fumikura.core.archives.scans import read_scan
from fumikura.core.page import Box
from fumikura.core.settings import Settings
from fumikura.core.store.lookup import PagePlace

T = TypeVar("T")

#: Bytes of decoded pages, and of small pictures, that are kept.
_SCANS_BYTES, _SMALL_BYTES = 256 << 20, 48 << 20
#: Pages that are decoded at the same time.
_AT_ONCE = 2
_QUALITY = 82


class _Kept(Generic[T]):
    """This keeps what was used last, as long as it fits."""

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: Hashable, value: T, n_bytes: int) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = value, n_bytes
            self._left -= n_bytes
            while self._left < 0 and len(self._kept) > 1:
                _, (_, freed) = self._kept.popitem(last=False)
                self._left += freed


class Pictures:
    """These are the pictures of a database's pages, by what `lookup.page_place` says of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scans: _Kept[Image.Image] = _Kept(_SCANS_BYTES)
        self._small: _Kept[bytes] = _Kept(_SMALL_BYTES)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def scan(self, page: PagePlace) -> Image.Image:
        """Give the whole page, upright.

        Raises:
            PageError: it is gone, or cannot be read.
        """
        if (kept := self._scans.get(page.digest)) is not None:
            return kept
        with self._turns:
            if (kept := self._scans.get(page.digest)) is not None:
                return kept
            decoded = decode(self._file(page), long_side=None, max_pixels=self._settings.max_pixels)
            image = Image.fromarray(decoded.pixels)
            self._scans.keep(page.digest, image, image.width * image.height * 3)
            return image

    def thumbnail(self, page: PagePlace, side: int) -> bytes:
        """Give a small JPEG of the page, its longer side so many pixels.

        Raises:
            PageError: it is gone, or cannot be read.
        """

        def draw() -> Image.Image:
            with self._turns:
                return preview(self._file(page), long_side=side, max_pixels=self._settings.max_pixels)

        return self._small_jpeg((page.digest, side), draw)

    def part(self, page: PagePlace, box: Box, height: int) -> bytes:
        """Give a part of the page as a JPEG of at most so many pixels' height.

        Raises:
            PageError: the page is gone, or cannot be read.
        """

        def draw() -> Image.Image:
            scan = self.scan(page)
            right, bottom = min(scan.width, box.x + box.width), min(scan.height, box.y + box.height)
            part = scan.crop((max(0, box.x), max(0, box.y), max(1, right), max(1, bottom)))
            part.thumbnail((4 * height, height))
            return part

        return self._small_jpeg((page.digest, box, height), draw)

    def _small_jpeg(self, key: Hashable, draw: Callable[[], Image.Image]) -> bytes:
        if (kept := self._small.get(key)) is not None:
            return kept
        data = jpeg(draw())
        self._small.keep(key, data, len(data))
        return data

    def _file(self, page: PagePlace) -> bytes:
        return read_scan(page.sources, page.digest, limits=self._settings.limits)


def jpeg(image: Image.Image) -> bytes:
    """Write an image as JPEG."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
