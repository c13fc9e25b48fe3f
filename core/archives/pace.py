"""This module spaces requests to a host, so that no library takes a reader for an attack."""

from __future__ import annotations

import threading
import time

from fumikura.core.archives.deadline import seconds_left

_LOCK = threading.Lock()
#: By host, the monotonic time at which it may be asked again.
_FREE_AT_S: dict[str, float] = {}


def wait_for_turn(host: str, requests_per_second: float) -> None:
    """Wait until this process may ask a host again; those who wait come one after the other.

    Raises:
        TimeoutError: the turn would come too late for an outer `ends_within`.
    """
    with _LOCK:
        now_s = time.monotonic()
        turn_s = max(now_s, _FREE_AT_S.get(host, now_s))
        if turn_s - now_s >= seconds_left():
            raise TimeoutError("its turn comes too late")
        _FREE_AT_S[host] = turn_s + 1 / requests_per_second
    time.sleep(turn_s - now_s)
