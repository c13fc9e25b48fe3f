"""Memory that a worker no longer uses goes back to the system.

Pages of many sizes leave holes in the heap, which the C library keeps for itself: a night of mixed archives
would hold twice what its largest page needs. `malloc_trim` gives the holes back (malloc_trim(3), glibc).
"""

from __future__ import annotations

import ctypes
import time

#: A trim takes ten milliseconds, and what it gave back must be asked for again.
_EVERY_S = 2.0


class SpareMemory:
    """It is given back at most every two seconds; where the C library has no such call, never."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._last_s = time.monotonic()

    def give_back(self) -> None:
        now_s = time.monotonic()
        if self._trim is not None and now_s > self._last_s + _EVERY_S:
            self._last_s = now_s
            self._trim(0)
