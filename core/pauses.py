"""This module says how long to wait before asking again what did not answer."""

from __future__ import annotations

import random

LONGEST_PAUSE_S = 15.0


def pause_s(n_failures: int) -> float:
    """Return the seconds to wait: twice as many after each failure, and never in step with other workers."""
    longest_s = min(LONGEST_PAUSE_S, 2.0 ** min(n_failures - 1, 10))
    return random.uniform(0.5, 1.0) * longest_s
