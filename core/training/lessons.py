"""This module says what a training is made of: a network, options, and batches step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fumikura.core.errors import DataSetError
from fumikura.core.recognition.models.checkpoint import save_classifier, save_segmenter
from fumikura.core.recognition.models.precision import is_bf16_fast
from fumikura.core.recognition.weights_header import tell_learnt_pages
from fumikura.core.training.datasets.augmentation import Augmentation

Losses = Callable[[nn.Module, Sequence[Tensor]], dict[str, Tensor]]
#: Makes inputs and answers of the images with these numbers (B,), changed by what the generator draws;
#: None changes nothing.
Batch = Callable[[Tensor, torch.Generator | None], tuple[Tensor, Tensor]]
Precision = Literal["bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class Lessons:
    """These options say how a network learns.

    Attributes:
        steps: batches seen in all.
        epochs: times that all images are seen, instead of steps (data sets).
        learning_rate: the highest; with "one-cycle" it rises at first and falls to nothing.
        weight_decay: of AdamW; 0 makes it Adam.
        augmentation: how the images of a data set are changed each time.
        validation: share of a data set's images that nothing is learnt from.
        patience: epochs without a lower validation loss after which training ends, with the weights of
            the best; 0 takes the weights of the last epoch.
        smoothing: of labels (classifiers).
        pos_weight: how much a pixel of a character counts against one of paper (data sets of patches).
        kept: share of the weights that it began with in those that it ends with (classifiers).
        averaged: decay, a step, of the running mean of the weights that a training ends with; 0 ends with
            the weights of the last step.
        keeps_statistics: batch normalisation expects what the weights that it began with expected.
        precision: with "bf16" torch computes in it where it thinks that safe (autocast).
        seed: of all that is drawn by lot.
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
    kept: float = 0.0
    averaged: float = 0.0
    keeps_statistics: bool = False
    precision: Precision = "fp32"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Epochs:
    """This says how a training is looked at from outside.

    Attributes:
        steps: of an epoch.
        review: scores of the model on images that it does not learn from, "validation_loss" among
            them; none where there are no such images.
    """

    steps: int
    review: Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Source:
    """A source gives a network what it learns from, batch by batch.

    Attributes:
        batch_of: the batch of a step, counted from 0. A step has one batch only, or a training that was
            cut off could not end as it would have.
        losses: of a batch by name; their sum is minimised.
        steps: in all.
        facts: what `config.json` says of the data and the network, beside the lessons: a folder with
            other facts holds another training.
        epochs: None where batches are drawn by lot.
        shown: what a batch of a step becomes once it lies on the device.
    """

    batch_of: Callable[[int], Sequence[Tensor]]
    losses: Losses
    steps: int
    facts: Mapping[str, Any]
    epochs: Epochs | None = None
    shown: Callable[[int, Sequence[Tensor]], Sequence[Tensor]] = lambda _step, batch: batch

    def batch_on(self, device: str, step: int) -> Sequence[Tensor]:
        """Give the batch of a step, counted from 0, on a device."""
        return self.shown(step, [item.to(device, non_blocking=True) for item in self.batch_of(step)])


@dataclass(frozen=True, slots=True)
class Network:
    """This is a network that is trained, and what its weights file says of it.

    Attributes:
        labels: of a classifier, by class; None for a segmenter.
        is_inverted: it learns from images turned over, so that their dark ink is bright.
        learnt_pages: digests of the pages that it learns from, or has.
    """

    model: nn.Module
    config: Any
    labels: Sequence[str] | None = None
    is_inverted: bool = False
    learnt_pages: frozenset[str] = frozenset()

    def save(self, folder: Path) -> Path:
        """Write the weights file, and return its path."""
        history = tell_learnt_pages(self.learnt_pages)
        if self.labels is None:
            path = folder / "segmenter.safetensors"
            save_segmenter(path, self.model, self.config, history=history)
        else:
            path = folder / "classifier.safetensors"
            save_classifier(
                path, self.model, self.config, self.labels, is_inverted=self.is_inverted, history=history
            )
        return path


#: Makes the network with fresh weights, and what it learns from. The weights to begin with, which it is
#: given too, may say what kind of network it is to be.
Material = Callable[[Lessons, Path | None], tuple[Network, Source]]


def find_precision(wanted: Precision | Literal["auto"], device: str) -> Precision:
    """Choose what is wanted; for "auto" bf16 where the device is fast at it."""
    if wanted != "auto":
        return wanted
    return "bf16" if is_bf16_fast(torch.device(device)) else "fp32"


def seed_of(seed: int, step: int) -> int:
    """Give each step of a training a seed of its own, the same whenever the training is gone on with."""
    return seed * 1_000_003 + step


def generator_of(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the generator that draws all that a step needs on a device."""
    return torch.Generator(device).manual_seed(seed_of(seed, step))


def images_in_epochs(
    order: Tensor,
    batch: Batch,
    losses: Losses,
    review: Callable[[nn.Module, Tensor], dict[str, float]],
    *,
    lessons: Lessons,
    facts: Mapping[str, Any],
) -> Source:
    """Show all images of a data set once an epoch, in an order that is drawn anew each time.

    Args:
        order: numbers of the images (N,); the last ones are kept for validation.
        losses: of a batch.
        review: scores of some images, by their numbers.

    Raises:
        DataSetError: too few images.
    """
    n_kept = round(lessons.validation * len(order))
    seen, kept = order[: len(order) - n_kept], order[len(order) - n_kept :]
    if not len(seen):
        raise DataSetError(
            f"{len(order)} images are too few to learn from; prepare more, or lower --validation"
        )
    epoch_steps = max(1, len(seen) // lessons.batch_size)

    def batch_of(step: int) -> Sequence[Tensor]:
        epoch, number = divmod(step, epoch_steps)
        shuffled = torch.randperm(len(seen), generator=generator_of(lessons.seed, epoch))
        taken = shuffled[number * lessons.batch_size : (number + 1) * lessons.batch_size]
        return batch(seen[taken], generator_of(lessons.seed, step))

    steps = lessons.steps if lessons.epochs is None else lessons.epochs * epoch_steps
    epochs = Epochs(epoch_steps, lambda model: review(model, kept) if len(kept) else {})
    return Source(batch_of, losses, steps, {**facts, "n_images": len(order)}, epochs)
