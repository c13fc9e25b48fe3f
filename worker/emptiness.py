"""A launcher that is to end with its work looks every few seconds whether there is any left."""

from __future__ import annotations

import logging
import random
import threading
import time

from fumikura.core.recognition.recipe import Recipe
from fumikura.core.store.connecting import Engine
from fumikura.core.store.remaining import remaining
from fumikura.worker.outages import Stopped, retry_until_stopped

log = logging.getLogger(__name__)

LOOK_S = 2.0


class Emptiness:
    """This looks whether a recipe's queue is empty, and no more often than every LOOK_S."""

    def __init__(self, engine: Engine, recipe: Recipe) -> None:
        self._engine = engine
        self._recipe = recipe
        self._next_look_s = 0.0

    def is_seen(self, stop: threading.Event) -> bool:
        """Tell whether nothing waits and nothing is in anybody's hands, as far as was looked just now.

        An outage is waited out, until `stop` is set.
        """
        if time.monotonic() < self._next_look_s:
            return False
        try:
            left = retry_until_stopped(lambda: remaining(self._engine, self._recipe.digest), stop)
        except Stopped:
            return False
        # Jitter: a hundred jobs that were started together are not to ask together.
        self._next_look_s = time.monotonic() + LOOK_S * random.uniform(0.8, 1.2)
        if left.of_recipe:
            return False
        log.info("nothing is left to be read by recipe %s", self._recipe.digest[:12])
        if left.of_others:
            log.warning("pages wait that other weights must read; `fumikura status` says which")
        return True
