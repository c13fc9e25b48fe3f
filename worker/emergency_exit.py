"""A worker process ends itself here when it can no longer be trusted to read.

Its pages stay leased: the launcher returns them as those of any lost worker, in halves, until the one
that is to blame stands alone.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

DEVICE_BROKE = 71
#: The exit code of a process that `time_limit` ended, as its parent sees it.
TOOK_TOO_LONG = 1 if sys.platform == "win32" else -signal.SIGALRM
STANDARD_ERROR = 2


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the process, with a traceback of every thread, if the block takes longer. Cannot be nested."""
    # Both are C: unlike a Python timer they also end a process whose interpreter is held by a library that
    # never comes back. faulthandler's own timer starts a thread each time, and costs as much as a small page.
    if sys.platform == "win32":
        faulthandler.dump_traceback_later(seconds, exit=True, file=STANDARD_ERROR)
    else:
        faulthandler.register(signal.SIGALRM, file=STANDARD_ERROR, all_threads=True, chain=True)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if sys.platform == "win32":
            faulthandler.cancel_dump_traceback_later()
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)


def end_if_device_broke(error: Exception) -> None:
    """End the process if the error leaves CUDA unusable for every page that would follow."""
    if isinstance(error, RuntimeError) and "CUDA error" in str(error):
        log.error("the device is lost to this worker: %s", error)
        logging.shutdown()
        os._exit(DEVICE_BROKE)
