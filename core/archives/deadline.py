"""This module ends all waits for a server together: a page has one time limit, for all answers it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Monotonic time, of this thread alone.
_ENDS_AT_S: ContextVar[float] = ContextVar("ends_at_s", default=math.inf)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Give what is fetched in the block so many seconds, or fewer if an outer block says so."""
    token = _ENDS_AT_S.set(min(_ENDS_AT_S.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ENDS_AT_S.reset(token)


def seconds_left() -> float:
    """Return the seconds until the innermost `ends_within` is over; infinite outside of any.

    Raises:
        TimeoutError: it is over.
    """
    left_s = _ENDS_AT_S.get() - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("its time is over")
    return left_s
