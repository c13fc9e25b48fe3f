"""Learn from a prepared data set: what patches and characters have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from fumikura.core.errors import DataSetError
from fumikura.core.training.curves import draw_curves
from fumikura.core.training.datasets.augment import Augmentation
from fumikura.core.training.loop import METRICS, Epochs, Losses, Precision, Progress, Run, fit


@dataclass(frozen=True, slots=True)
class Lessons:
    """How a network learns from a prepared data set.

    Attributes:
        steps: batches seen in all.
        epochs: times that all images are seen, instead of steps.
        weight_decay: of AdamW; 0 makes it Adam.
        validation: share of the training images that nothing is learnt from.
        patience: epochs without a lower validation loss after which training ends, with the weights of
            the best; 0 takes the weights of the last epoch.
        smoothing: of labels (classifiers).
        pos_weight: how much a pixel of a character counts against one of paper (segmenters).
    """

    steps: int = 3000
    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    weight_decay: float = 1e-2
    augmentation: Augmentation = "none"
    validation: float = 0.05
    patience: int = 0
    smoothing: float = 0.0
    pos_weight: float = 1.0
    precision: Precision = "fp32"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What is learnt.

    Attributes:
        batch: the inputs and answers of some images, by their numbers (B,), changed by what the generator
            draws; None changes nothing.
        losses: of such a batch; with the name "train_loss".
        review: scores of some images, by their numbers.
    """

    batch: Callable[[Tensor, torch.Generator | None], Sequence[Tensor]]
    losses: Losses
    review: Callable[[nn.Module, Tensor], dict[str, float]]


def learn(
    task: Task,
    model: nn.Module,
    order: Tensor,
    folder: Path,
    *,
    lessons: Lessons,
    device: str,
    progress: Progress,
) -> None:
    """Train a model on images in a folder of its own, with metrics and their curves.

    Args:
        order: numbers of the images (N,); the last ones are kept for validation.

    Raises:
        DataSetError: too few images.
        CheckpointError: the folder cannot be written to, or holds another training.
    """
    n_kept = round(lessons.validation * len(order))
    kept, seen = order[len(order) - n_kept :], order[: len(order) - n_kept]
    if not len(seen):
        raise DataSetError(
            f"{len(order)} images are too few to learn from; prepare more, or lower --validation"
        )
    epoch_steps = max(1, len(seen) // lessons.batch_size)
    run = Run(
        folder,
        model,
        lessons.steps if lessons.epochs is None else lessons.epochs * epoch_steps,
        lessons.learning_rate,
        device,
        seed=lessons.seed,
        precision=lessons.precision,
        weight_decay=lessons.weight_decay,
        schedule=lessons.schedule,
    )

    def batches_from(first: int) -> Iterator[Sequence[Tensor]]:
        for step in range(first, run.steps):
            # Seeded by epoch and step: a resumed training sees what it would have seen.
            epoch, number = divmod(step, epoch_steps)
            shuffled = torch.randperm(len(seen), generator=_generator(lessons.seed, epoch))
            taken = shuffled[number * lessons.batch_size : (number + 1) * lessons.batch_size]
            yield task.batch(seen[taken], _generator(lessons.seed, step))

    epochs = Epochs(
        epoch_steps,
        lambda model: task.review(model, kept) if len(kept) else {},
        patience=lessons.patience,
    )
    fit(run, batches_from, task.losses, progress=progress, epochs=epochs)
    draw_curves(folder / METRICS, folder / "curves.png")


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + number)
