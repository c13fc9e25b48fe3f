"""How fast pages are read."""

from __future__ import annotations

from dataclasses import dataclass

#: Pages that finish within this time of the very first were read in the same batch.
FIRST_BATCH_S = 2.0


@dataclass(slots=True)
class Pace:
    """Pages a second since the first pages were finished, so without the start of the workers.

    The pages that finish first come in one batch; they and the time before them are left out.
    """

    began_s: float | None = None
    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None

    def note(self, now_s: float, n_done: int) -> None:
        if n_done > (self.last[1] if self.last else 0):
            self.last = (now_s, n_done)
            self.began_s = now_s if self.began_s is None else self.began_s
            if now_s - self.began_s < FIRST_BATCH_S:
                self.first = self.last

    @property
    def pages_per_second(self) -> float | None:
        """None until a second batch has finished."""
        if self.first is None or self.last is None or self.last[0] <= self.first[0]:
            return None
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])
