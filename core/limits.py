"""This module limits what an archive may claim or reach, so that a hostile one harms nothing but itself."""

from __future__ import annotations

from dataclasses import dataclass

#: What unpacks to no more than this does no harm, however well it was packed.
HARMLESS_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits say what an archive may claim or reach; beyond them, pages or archives fail with the reason.

    Attributes:
        max_file_bytes: of one page's file.
        max_pixels: of one page; a larger one fails before it is decoded.
        max_ratio: how many times its packed size a file, or an archive, may unpack to.
        max_members: files in one zip or tar.
        allow_private_addresses: whether a URL may lead to a host that is not on the public internet.
        patience_s: how long a server of images is asked again that does not answer.
        requests_per_second: how often a process asks one host for what a manifest names.
    """

    max_file_bytes: int = 256 << 20
    max_pixels: int = 80_000_000
    max_ratio: int = 200
    max_members: int = 100_000
    allow_private_addresses: bool = False
    patience_s: float = 300.0
    requests_per_second: float = 5.0

    def most_bytes(self, packed_bytes: int) -> int:
        """Give the number of bytes to which so many packed bytes may unpack."""
        return max(HARMLESS_BYTES, self.max_ratio * packed_bytes)

    def problem(self, size_bytes: int, *, packed_bytes: int | None = None) -> str | None:
        """Say what is wrong with a file of this size, as the end of a sentence; None if nothing is."""
        if size_bytes > self.max_file_bytes:
            return (
                f"has {size_bytes:,} bytes, more than a page may have;"
                " make it smaller, or raise FUMIKURA_MAX_FILE_BYTES"
            )
        if packed_bytes is not None and size_bytes > self.most_bytes(packed_bytes):
            return (
                f"unpacks from {packed_bytes:,} to {size_bytes:,} bytes, as only a bomb does;"
                " unpack it yourself, or raise FUMIKURA_MAX_RATIO"
            )
        return None

    def too_many(self) -> str:
        """Say what is wrong with an archive of more files than `max_members`."""
        return (
            f"holds more than {self.max_members:,} files; split it, unpack it, or raise FUMIKURA_MAX_MEMBERS"
        )


DEFAULT_LIMITS = Limits()
