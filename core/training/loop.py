"""This module trains any network in one loop, which can be cut off at any moment and goes on later."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fumikura.core.recognition.weights_header import learnt_pages
from fumikura.core.training.lessons import Epochs, Lessons, Material, Source, seed_of
from fumikura.core.training.run_folder import (
    Stateful,
    add_metrics,
    file_digest,
    keep_config,
    load_state,
    save_state,
)
from fumikura.core.training.starting_weights import begin_with, keep_part

#: Told the steps done, the steps in all, and the mean of each loss.
Progress = Callable[[int, int, dict[str, float]], None]
#: Steps between two saved states.
SAVE_EVERY = 100
#: Batches from which the statistics of normalisation are measured, at most.
_STATISTICS = 60
#: Steps between two notes, where there are no epochs.
NOTE_EVERY = 20


def train_network(
    material: Material,
    folder: Path,
    *,
    lessons: Lessons,
    device: str,
    progress: Progress,
    start: Path | None = None,
) -> Path:
    """Train a network in a folder of its own, or go on with what was cut off there.

    Args:
        start: weights to begin with: all but a last layer of another size, of which a classifier takes
            the labels that it knows.

    Returns:
        The weights file.

    Raises:
        DataSetError: the data set is damaged or too small.
        CheckpointError: `start` is another network, or the folder holds another training or is full.
        UsageError: the network cannot take images of this size.
    """
    torch.manual_seed(lessons.seed)
    network, source = material(lessons, start)
    if start is not None:
        begin_with(network.model, start, labels=network.labels)
        network = replace(network, learnt_pages=network.learnt_pages | learnt_pages(start))
    keep_config(folder, {**source.facts, **asdict(lessons), "start": file_digest(start), "device": device})
    fit(network.model, source, folder, lessons=lessons, device=device, progress=progress)
    if source.epochs:
        from fumikura.core.training.plots import draw_curves  # loads matplotlib

        draw_curves(folder)
    if start is not None and lessons.kept:
        keep_part(network.model, start, lessons.kept, labels=network.labels)
    if (lessons.kept or lessons.averaged) and not lessons.keeps_statistics:
        renew_statistics(network.model, source, device=device)
    return network.save(folder)


def fit(
    model: nn.Module, source: Source, folder: Path, *, lessons: Lessons, device: str, progress: Progress
) -> None:
    """Train a model in place with AdamW, resuming from the folder's state.

    Where there are epochs, the metrics have a line for each, else for every 20 steps.

    Args:
        progress: told where it begins, and every 20 steps.

    Raises:
        CheckpointError: the folder holds another training, or cannot be written to.
    """
    model.to(device).to(memory_format=torch.channels_last).train()
    if lessons.keeps_statistics:
        for layer in _normalisations(model):
            layer.eval()
    optimizer, schedule = _optimizer(model, lessons, source.steps)
    course = Course(model, patience=lessons.patience if source.epochs else 0)
    state: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    if source.epochs:
        state["course"] = course
    multi_avg_fn = get_ema_multi_avg_fn(lessons.averaged)  # type: ignore[no-untyped-call]
    mean = AveragedModel(model, multi_avg_fn=multi_avg_fn)
    if lessons.averaged:
        state["mean"] = mean
    first = load_state(folder, state)
    progress(first, source.steps, {})
    autocast = torch.autocast(
        torch.device(device).type, dtype=torch.bfloat16, enabled=lessons.precision == "bf16"
    )
    look_every = source.epochs.steps if source.epochs else NOTE_EVERY
    scores: dict[str, float] = {}
    for step in range(first + 1, source.steps + 1):
        if course.is_over:
            break
        batch = source.batch_on(device, step - 1)
        torch.manual_seed(seed_of(lessons.seed, step))  # a resumed training drops what it would have dropped
        with autocast:
            losses = source.losses(model, batch)
        _descend(model, losses, optimizer)
        schedule.step()
        if lessons.averaged:
            mean.update_parameters(model)
        course.add({name: loss.item() for name, loss in losses.items()})
        is_last = step == source.steps
        if step % NOTE_EVERY == 0 or is_last:
            progress(step, source.steps, course.means | scores)
        if step % look_every == 0 or is_last:
            scores = _review(model, source.epochs, autocast)
            epoch = {"epoch": math.ceil(step / look_every)} if source.epochs else {}
            ends = {"learning_rate": optimizer.param_groups[0]["lr"], "seconds": course.seconds}
            add_metrics(folder, {**epoch, "step": step, **course.means, **scores, **ends})
            course.look(scores.get("validation_loss"))
        if step % SAVE_EVERY == 0 or is_last or course.is_over:
            save_state(folder, step, state)
    if lessons.averaged:
        model.load_state_dict(mean.module.state_dict())
    course.restore_best()
    model.eval()


def renew_statistics(model: nn.Module, source: Source, *, device: str) -> None:
    """Measure anew, on training batches, what batch normalisation expects; in place.

    Means of weights have other statistics than the weights had (Izmailov et al. 2018, arXiv:1803.05407).
    """
    layers = _normalisations(model)
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    model.to(device).train()
    with torch.no_grad():
        for step in range(min(_STATISTICS, source.steps)):
            source.losses(model, source.batch_on(device, source.steps + step))
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum
    model.eval()


def _normalisations(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def _descend(model: nn.Module, losses: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def _optimizer(
    model: nn.Module, lessons: Lessons, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    rate, total = lessons.learning_rate, steps + 1
    # Norms and biases are no weights that could grow too large.
    vectors = [weights for weights in model.parameters() if weights.ndim <= 1]
    matrices = [weights for weights in model.parameters() if weights.ndim > 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=lessons.weight_decay)
    if lessons.schedule == "constant":
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    # Where the rise is one step long torch divides by zero.
    rise = max(0.1, 2 / total)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=total, pct_start=rise)


def _review(model: nn.Module, epochs: Epochs | None, autocast: torch.autocast) -> dict[str, float]:
    if epochs is None:
        return {}
    model.eval()
    with torch.inference_mode(), autocast:
        scores = epochs.review(model)
    model.train()
    return scores


class Course:
    """A course keeps the mean losses since the last look, and the best weights (Prechelt 1998)."""

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
        """Tell whether the loss has not become lower for `patience` looks; never with a patience of 0."""
        return 0 < self._patience <= self._waited

    @property
    def seconds(self) -> float:
        """Return how long this has been trained, whatever interrupted it."""
        return self._seconds + time.monotonic() - self._since_s

    @property
    def means(self) -> dict[str, float]:
        """Return the mean of each loss since the last look."""
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
