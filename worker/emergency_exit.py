"""A worker process ends itself here when it can no longer be trusted to read.

Its pages stay leased: the launcher returns them as those of any lost worker, in halves, until the one
that is to blame stands alone.
"""

from __future__ import annotations

import faulthandler
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

DEVICE_BROKE = 71
#: The exit code with which `time_limit` ends the process; faulthandler leaves no choice.
TOOK_TOO_LONG = 1
STANDARD_ERROR = 2


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the process, with a traceback of every thread, if the block takes longer. Cannot be nested."""
    # A thread of C code: unlike a Python timer it also ends a process whose interpreter is
    # held by a library that never comes back.
    faulthandler.dump_traceback_later(seconds, exit=True, file=STANDARD_ERROR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def end_if_device_broke(error: Exception) -> None:
    """End the process if the error leaves CUDA unusable for every page that would follow."""
    if isinstance(error, RuntimeError) and "CUDA error" in str(error):
        log.error("the device is lost to this worker: %s", error)
        logging.shutdown()
        os._exit(DEVICE_BROKE)
