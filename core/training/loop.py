"""One training loop for all networks: it can be cut off at any moment and goes on later."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from fumikura.core.errors import CheckpointError
from fumikura.core.recognition.models.inference import is_bf16_fast
from fumikura.core.training.course import Course

#: Told the steps done, the steps in all, and the mean of each loss.
Progress = Callable[[int, int, dict[str, float]], None]
Losses = Callable[[nn.Module, Sequence[Tensor]], dict[str, Tensor]]
Precision = Literal["bf16", "fp32"]
#: Steps between two saved states.
SAVE_EVERY = 100
#: Steps between two notes, where there are no epochs.
NOTE_EVERY = 20
METRICS = "metrics.jsonl"


class Stateful(Protocol):
    """What can be saved and gone on with: a model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What is trained, how long, and where its state is kept.

    Attributes:
        seed: of what the network itself draws (dropout), step by step.
        precision: with "bf16" torch computes in it where it thinks that safe (autocast).
        weight_decay: 0 makes plain Adam of AdamW.
        schedule: whether the learning rate rises and falls in one cycle, or stays.
    """

    folder: Path
    model: nn.Module
    steps: int
    learning_rate: float
    device: str
    seed: int = 1
    precision: Precision = "fp32"
    weight_decay: float = 1e-2
    schedule: Literal["one-cycle", "constant"] = "one-cycle"

    @property
    def autocast(self) -> torch.autocast:
        device = torch.device(self.device)
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")


@dataclass(frozen=True, slots=True)
class Epochs:
    """How a training is looked at from outside.

    Attributes:
        steps: of an epoch.
        review: scores of the model on images that it does not learn from, "validation_loss" among
            them; none where there are no such images.
        patience: epochs without a lower validation loss after which training ends with the weights of
            the best one; 0 goes on to the last epoch and takes that.
    """

    steps: int
    review: Callable[[nn.Module], dict[str, float]]
    patience: int = 0


def find_precision(wanted: Precision | Literal["auto"], device: str) -> Precision:
    """What is wanted; for "auto" bf16 where the device is fast at it."""
    if wanted != "auto":
        return wanted
    return "bf16" if is_bf16_fast(torch.device(device)) else "fp32"


def fit(
    run: Run,
    batches_from: Callable[[int], Iterable[Sequence[Tensor]]],
    losses_of: Losses,
    *,
    progress: Progress,
    epochs: Epochs | None = None,
) -> None:
    """Train with AdamW, resuming from the folder's state.

    Args:
        run: the model is trained in place.
        batches_from: the batches from a step on.
        losses_of: losses of a batch by name; their sum is minimised.
        progress: told where it begins, and every 20 steps.
        epochs: where there are any; then the metrics have a line for each, else for every 20 steps.

    Raises:
        CheckpointError: the folder holds another training, or cannot be written to.
    """
    run.model.to(run.device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(run.model.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay)
    schedule = _schedule(optimizer, run)
    course = Course(run.model, patience=epochs.patience if epochs else 0)
    state: dict[str, Stateful] = {"model": run.model, "optimizer": optimizer, "schedule": schedule}
    if epochs:
        state["course"] = course
    look_every = epochs.steps if epochs else NOTE_EVERY
    first = _resume(run.folder, state)
    progress(first, run.steps, {})
    scores: dict[str, float] = {}
    for step, batch in enumerate(() if course.is_over else batches_from(first), start=first + 1):
        torch.manual_seed(run.seed * 1_000_003 + step)  # a resumed training drops what it would have dropped
        losses = _step(run, batch, losses_of, optimizer)
        schedule.step()
        course.add(losses)
        is_last = step == run.steps
        if step % NOTE_EVERY == 0 or is_last:
            progress(step, run.steps, course.means | scores)
        if step % look_every == 0 or is_last:
            rate = {"learning_rate": optimizer.param_groups[0]["lr"], "seconds": course.seconds}
            scores = _review(run, epochs) if epochs else {}
            epoch = {"epoch": math.ceil(step / look_every)} if epochs else {}
            _note(run.folder, {**epoch, "step": step, **course.means, **scores, **rate})
            course.look(scores.get("validation_loss"))
        is_last = is_last or course.is_over
        if step % SAVE_EVERY == 0 or is_last:
            _save(run.folder, step, state)
        if is_last:
            break
    course.restore_best()
    run.model.eval()


def _step(
    run: Run, batch: Sequence[Tensor], losses_of: Losses, optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    device = torch.device(run.device)
    batch = [item.to(device, non_blocking=True) for item in batch]
    with run.autocast:
        losses = losses_of(run.model, batch)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    optimizer.step()
    return {name: loss.item() for name, loss in losses.items()}


def _schedule(optimizer: torch.optim.Optimizer, run: Run) -> torch.optim.lr_scheduler.LRScheduler:
    if run.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    total = run.steps + 1
    # Where the rise is one step long torch divides by zero.
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, run.learning_rate, total_steps=total, pct_start=max(0.1, 2 / total)
    )


def _review(run: Run, epochs: Epochs) -> dict[str, float]:
    run.model.eval()
    with torch.inference_mode(), run.autocast:
        scores = epochs.review(run.model)
    run.model.train()
    return scores


def _resume(folder: Path, state: Mapping[str, Stateful]) -> int:
    path = folder / "state.pt"
    if not path.exists():
        _forget_after(folder, 0)
        return 0
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is damaged; delete it, and this training begins anew") from error
    try:
        for name, part in state.items():
            part.load_state_dict(saved[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is the state of another training; name another folder") from error
    _forget_after(folder, saved["step"])
    return int(saved["step"])


def _save(folder: Path, step: int, state: Mapping[str, Stateful]) -> None:
    unfinished = folder / "state.unfinished"
    saved = {"step": step, **{name: part.state_dict() for name, part in state.items()}}
    with _one_line(folder):
        try:
            torch.save(saved, unfinished)
            unfinished.replace(folder / "state.pt")
        finally:
            unfinished.unlink(missing_ok=True)


def _note(folder: Path, values: Mapping[str, float]) -> None:
    # A loss that is no number any more is one of the results; JSON has no word for it.
    row = {name: round(value, 6) if math.isfinite(value) else None for name, value in values.items()}
    with _one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _forget_after(folder: Path, step: int) -> None:
    """Drop the metrics of steps that will be taken again."""
    path = folder / METRICS
    if path.exists():
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        try:
            kept = [row for row in rows if row.endswith("\n") and json.loads(row)["step"] <= step]
        except (TypeError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged; delete it, and it begins anew") from error
        if kept != rows:
            unfinished = path.with_suffix(".unfinished")
            with _one_line(folder):
                unfinished.write_text("".join(kept), encoding="utf-8")
                unfinished.replace(path)


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    # torch's own writer knows no OSError.
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"the training cannot be saved in {folder} ({reason}); free some space, and give the same"
            " command again: it goes on from what was saved before"
        ) from error
