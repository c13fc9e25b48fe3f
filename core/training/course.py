"""What a training remembers beside its weights: the losses of this epoch, and the best epoch so far."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor, nn


class Course:
    """Mean losses from one look to the next, and early stopping (patience, Prechelt 1998)."""

    def __init__(self, model: nn.Module, *, patience: int) -> None:
        self._model = model
        self._patience = patience
        self._sums: dict[str, float] = {}
        self._n_batches = 0
        self._best_loss = float("inf")
        self._best: dict[str, Tensor] = {}
        self._waited = 0
        self._seconds = 0.0
        self._since_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the loss has not become lower for `patience` looks; never with a patience of 0."""
        return 0 < self._patience <= self._waited

    @property
    def seconds(self) -> float:
        """How long this has been trained, whatever interrupted it."""
        return self._seconds + time.monotonic() - self._since_s

    @property
    def means(self) -> dict[str, float]:
        """Mean of each loss since the last look."""
        return {name: total / self._n_batches for name, total in self._sums.items()}

    def add(self, losses: dict[str, float]) -> None:
        """Count the losses of a batch."""
        self._sums = {name: self._sums.get(name, 0.0) + loss for name, loss in losses.items()}
        self._n_batches += 1

    def look(self, validation_loss: float | None) -> None:
        """Begin a new epoch, and keep the weights if they are the best."""
        self._sums, self._n_batches = {}, 0
        if not self._patience or validation_loss is None:
            return
        self._waited += 1
        if validation_loss < self._best_loss:
            self._waited, self._best_loss = 0, validation_loss
            self._best = {name: value.cpu().clone() for name, value in self._model.state_dict().items()}

    def restore_best(self) -> None:
        """Put the best weights back, if any were kept."""
        if self._best:
            self._model.load_state_dict(self._best)

    def state_dict(self) -> dict[str, Any]:
        return {
            "sums": self._sums,
            "n_batches": self._n_batches,
            "best_loss": self._best_loss,
            "best": self._best,
            "waited": self._waited,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        for name, value in state_dict.items():
            setattr(self, f"_{name}", value)
        self._since_s = time.monotonic()
