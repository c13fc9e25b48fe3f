"""One training loop for both networks: it can be cut off at any moment and goes on later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.errors import CheckpointError

#: Told the steps done, the steps in all, and the running mean of each loss.
Progress = Callable[[int, int, dict[str, float]], None]
#: Steps between two saved states.
SAVE_EVERY = 100


class Stateful(Protocol):
    """What can be saved and gone on with: a model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What is trained, how long, and where its state is kept."""

    folder: Path
    model: nn.Module
    steps: int
    learning_rate: float
    device: str


def fit(
    run: Run,
    batches_from: Callable[[int], Iterable[Sequence[Tensor]]],
    losses_of: Callable[[nn.Module, Sequence[Tensor]], dict[str, Tensor]],
    *,
    progress: Progress,
) -> None:
    """Train with AdamW and a one-cycle learning rate, resuming from the folder's state.

    Args:
        run: the model is trained in place.
        batches_from: the batches from a step on.
        losses_of: losses of a batch by name; their sum is minimised.
        progress: told every 20 steps.
    """
    device = torch.device(run.device)
    run.model.to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(run.model.parameters(), lr=run.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, run.learning_rate, total_steps=run.steps + 1, pct_start=0.1
    )
    state: dict[str, Stateful] = {"model": run.model, "optimizer": optimizer, "schedule": schedule}
    first = _resume(run.folder, state)
    means: dict[str, float] = {}
    for step, batch in enumerate(batches_from(first), start=first + 1):
        batch = [item.to(device, non_blocking=True) for item in batch]
        with torch.autocast(device.type, dtype=torch.bfloat16):
            losses = losses_of(run.model, batch)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        for name, loss in losses.items():
            means[name] = 0.95 * means.get(name, loss.item()) + 0.05 * loss.item()
        if step % 20 == 0 or step == run.steps:
            progress(step, run.steps, means)
            _note(run.folder, step, means)
        if step % SAVE_EVERY == 0 or step == run.steps:
            _save(run.folder, step, state)
        if step == run.steps:
            break
    run.model.eval()


def _resume(folder: Path, state: Mapping[str, Stateful]) -> int:
    path = folder / "state.pt"
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True, map_location="cpu")
    try:
        for name, part in state.items():
            part.load_state_dict(saved[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is the state of another training; name another folder") from error
    return int(saved["step"])


def _save(folder: Path, step: int, state: Mapping[str, Stateful]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "state.unfinished"
    torch.save({"step": step, **{name: part.state_dict() for name, part in state.items()}}, unfinished)
    unfinished.replace(folder / "state.pt")


def _note(folder: Path, step: int, means: dict[str, float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"step": step, **{name: round(mean, 5) for name, mean in means.items()}}) + "\n"
        )
